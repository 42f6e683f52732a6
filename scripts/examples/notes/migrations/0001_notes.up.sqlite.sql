create table notes (
  id integer primary key,
  title text not null unique,
  text text not null,
  created timestamptz not null
);
