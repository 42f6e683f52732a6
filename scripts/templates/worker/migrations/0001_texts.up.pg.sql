create table texts (id bigint generated always as identity primary key, text text not null, words integer);
