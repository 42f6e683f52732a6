create table users (
  id integer primary key,
  name text not null unique,
  password text not null,
  role text not null check (role in ('customer', 'admin'))
);

create table items (
  id integer primary key,
  name text not null unique,
  price bigint not null check (price > 0), -- in cents
  stock bigint not null check (stock >= 0),
  version bigint not null default 0, -- grows with each change of the stock
  note text
);

create table cart_lines (
  user_id bigint not null references users (id),
  item_id bigint not null references items (id),
  count bigint not null check (count > 0),
  changed_at double precision not null, -- seconds since 1970
  primary key (user_id, item_id)
);

create table orders (
  id integer primary key,
  user_id bigint not null references users (id),
  state text not null check (state in ('placed', 'paid', 'refused')),
  total bigint not null, -- in cents
  card text, -- until the payment is settled
  placed_at double precision not null
);
create index orders_of_users on orders (user_id);

create table order_lines (
  order_id bigint not null references orders (id),
  item_id bigint not null references items (id),
  count bigint not null check (count > 0),
  price bigint not null, -- of one, when it was ordered
  primary key (order_id, item_id)
);

-- down
drop table order_lines;
drop table orders;
drop table cart_lines;
drop table items;
drop table users;
