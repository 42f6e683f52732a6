create table users (
  id integer primary key,
  name text not null unique,
  password text not null,
  scopes text not null default ''
);

create table items (
  id integer primary key,
  name text not null unique,
  price integer not null check (price > 0),
  stock integer not null check (stock >= 0),
  note text
);

create table orders (
  id integer primary key,
  user_id integer not null references users (id),
  item_id integer not null references items (id),
  count integer not null check (count > 0),
  total integer not null
);

-- down
drop table orders;
drop table items;
drop table users;
