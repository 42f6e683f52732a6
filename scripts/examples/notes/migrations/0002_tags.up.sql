create table tags (
  note bigint not null references notes on delete cascade,
  name text not null,
  primary key (note, name)
);
