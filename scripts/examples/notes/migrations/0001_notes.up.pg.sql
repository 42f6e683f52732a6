create table notes (
  id bigint generated always as identity primary key,
  title text not null unique,
  text text not null,
  created timestamptz not null
);
