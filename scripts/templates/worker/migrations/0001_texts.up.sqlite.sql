create table texts (id integer primary key, text text not null, words integer);
