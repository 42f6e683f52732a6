--- What \d of `moonloop db shell` shows: the tables of a database, or the columns of one.

local files = require "moonloop.sql.migrate_files"

local all = {
  sqlite = [[
    select name, type from sqlite_schema where type in ('table', 'view') and name not like 'sqlite\_%' escape '\'
    order by name]],
  postgres = [[
    select c.relname as name, case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end
      as type
    from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f') and pg_table_is_visible(c.oid)
      and c.relnamespace <> 'pg_catalog'::regnamespace and c.relnamespace <> 'information_schema'::regnamespace
    order by c.relname]],
}

local one = {
  sqlite = [[
    select name, type, case when "notnull" or pk then 'not null' else '' end as "null", dflt_value as "default",
      case when pk then 'primary key' else '' end as key
    from pragma_table_info($1) order by cid]],
  postgres = [[
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
      case when a.attnotnull then 'not null' else '' end as "null", pg_get_expr(d.adbin, d.adrelid) as "default",
      coalesce((select 'primary key' from pg_index i where i.indrelid = a.attrelid and i.indisprimary
        and a.attnum = any(i.indkey)), '') as key
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = to_regclass($1::text) and a.attnum > 0 and not a.attisdropped order by a.attnum]],
}

--- describe(conn, name) -> names of columns, rows. `name` is "" for all tables. Raises an error object.
return function(conn, name)
  local dialect = conn.place.dialect
  local rows, err
  if name == "" then rows, err = conn:query(all[dialect]) else rows, err = conn:query(one[dialect], name) end
  files.need(rows, err)
  if name ~= "" and #rows == 0 then error(("there is no table %s"):format(name), 0) end
  local names = name == "" and { "name", "type" } or { "name", "type", "null", "default", "key" }
  local cells = {}
  for r = 1, #rows do
    cells[r] = {}
    for c, column in ipairs(names) do cells[r][c] = rows[r][column] end
  end
  return names, cells
end
