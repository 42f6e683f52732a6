--- The PostgreSQL side of `moonloop db copy`: its tables, their order, and what would be in the way of rows.
local files = require "moonloop.sql.migrate_files"

local M = {}

local function fail(message, ...) error(files.error(message:format(...)), 0) end

local need = files.need

local function quote(name) return '"' .. name:gsub('"', '""') .. '"' end

local all_columns = [[
  select c.relname as "table", a.attname as name, t.typcategory = 'A' as is_array,
    coalesce(nullif(t.typbasetype, 0), t.oid)::regtype::text as type, a.attgenerated <> '' as generated,
    pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname) as sequence
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
    join pg_type t on t.oid = a.atttypid
  where n.nspname = current_schema() and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
  order by c.relname, a.attnum]]

local all_keys = [[
  select con.conname as name, child.relname as child, parent.relname as parent, con.condeferrable as deferrable
  from pg_constraint con join pg_class child on child.oid = con.conrelid
    join pg_class parent on parent.oid = con.confrelid
  where con.contype = 'f' and con.conparentid = 0 and child.relnamespace = current_schema()::regnamespace]]

local all_triggers = [[
  select tgname as name, c.relname as "table" from pg_trigger join pg_class c on c.oid = tgrelid
  where not tgisinternal and tgenabled = 'O' and c.relnamespace = current_schema()::regnamespace]]

-- As PostgreSQL has folded the name, if it is not there as it is.
local function find(names, name) return names[name] or names[name:lower()] end

local function read(to)
  local tables = {}
  for _, row in ipairs(need(to:query(all_columns))) do
    local this = tables[row.table]
    if not this then
      this = { name = row.table, columns = {}, list = {} }
      tables[row.table] = this
    end
    this.columns[row.name] = row
    this.list[#this.list + 1] = row
  end
  return tables
end

-- The pairs in an order in which each follows those that it refers to; circles at the end. Also the keys
-- of the circles.
local function sort(list, keys)
  local by_name, rest = {}, {}
  for _, pair in ipairs(list) do
    by_name[pair.to.name] = pair
    pair.after = {}
  end
  for _, key in ipairs(keys) do
    local child = by_name[key.child]
    if child and by_name[key.parent] and key.child ~= key.parent then child.after[key.parent] = true end
  end
  local order, done = {}, {}
  local progress = true
  while progress do
    progress = false
    for _, pair in ipairs(list) do
      local is_free = not done[pair.to.name]
      for parent in pairs(pair.after) do is_free = is_free and done[parent] end
      if is_free then
        order[#order + 1], done[pair.to.name], progress = pair, true, true
      end
    end
  end
  for _, pair in ipairs(list) do
    if not done[pair.to.name] then order[#order + 1] = pair end
  end
  for _, key in ipairs(keys) do
    if by_name[key.child] and not done[key.child] and by_name[key.parent] and not done[key.parent] then
      rest[#rest + 1] = key
    end
  end
  return order, rest
end

--- match(to, tables) -> the pairs {from =, to =, columns = {{from =, to =}, ...}} of the tables of the source
-- with those of the target, in the order in which they can be filled. Raises what does not fit.
function M.match(to, tables)
  local there, list, missing, names = read(to), {}, {}, {}
  for _, from in ipairs(tables) do
    local found = find(there, from.name)
    if not found then
      missing[#missing + 1] = from.name
    else
      local pair = { from = from, to = found, columns = {} }
      for _, name in ipairs(from.columns) do
        local column = find(found.columns, name)
        if not column then
          missing[#missing + 1] = from.name .. "." .. name
        elseif not column.generated then
          pair.columns[#pair.columns + 1] = { from = name, to = column }
        end
      end
      list[#list + 1] = pair
    end
  end
  if #missing > 0 then
    fail("db copy: the target has no %s: run 'moonloop migrate up' for it first", table.concat(missing, ", "))
  end
  for i, pair in ipairs(list) do names[i] = quote(pair.to.name) end
  if #names > 0 then need(to:simple("lock table " .. table.concat(names, ", ") .. " in exclusive mode")) end
  for _, pair in ipairs(list) do
    if need(to:query(("select 1 as n from %s limit 1"):format(quote(pair.to.name))))[1] then
      fail("db copy: the table %s of the target has rows: empty it first (truncate %s cascade); those of the source " ..
        "are copied whole", pair.to.name, quote(pair.to.name))
    end
  end
  local keys = need(to:query(all_keys))
  local order, circular = sort(list, keys)
  order.circular = circular
  return order
end

--- Puts off what would be in the way of rows that were right in the source: keys that refer to each other
-- in a circle, and triggers. Returns the function that restores it.
function M.prepare(to, list)
  local names, restore = {}, {}
  for _, pair in ipairs(list) do names[pair.to.name] = true end
  for _, trigger in ipairs(need(to:query(all_triggers))) do
    if names[trigger.table] then
      local words = ("alter table %s %%s trigger %s"):format(quote(trigger.table), quote(trigger.name))
      need(to:simple(words:format "disable"))
      restore[#restore + 1] = words:format "enable"
    end
  end
  for _, key in ipairs(list.circular) do
    if not key.deferrable then
      local words = ("alter table %s alter constraint %s %%s"):format(quote(key.child), quote(key.name))
      need(to:simple(words:format "deferrable"))
      restore[#restore + 1] = words:format "not deferrable"
    end
  end
  need(to:simple "set constraints all deferred")
  return function()
    local done, err = to:simple "set constraints all immediate"
    if not done then fail("%s; nothing was copied", err.message) end
    for _, sql in ipairs(restore) do need(to:simple(sql)) end
  end
end

--- Lets the sequences of a table's columns go on behind what was copied.
function M.set_sequences(to, one)
  for _, column in ipairs(one.list) do
    if column.sequence then
      need(to:query(("select setval($1::text::regclass, m) as n from (select max(%s) as m from %s) x where m >= 1")
        :format(quote(column.name), quote(one.name)), column.sequence))
    end
  end
end

return M
