--- Which file of the project may depend on which: the table of doc/architecture.md, compared with the
-- files and objects. Everything here works on tables of texts and symbols, so that specs can pass
-- made-up ones.
local lfs = require "lfs"
local c_source = require "spec.support.c_source"
local folders = require "spec.support.folder"

local M = {}

local function folder_of(path) return path:match "^(.*)/[^/]+$" or "" end
local function stem_of(path) return path:match "([^/]+)%.[ch]$" end

local function sorted_keys(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

--- Every C file and header below the folders: path to text.
function M.files(...)
  local files = {}
  local function walk(folder)
    for name in lfs.dir(folder) do
      local path = folder .. "/" .. name
      if lfs.attributes(path, "mode") == "directory" then
        if not name:find "^%." then walk(path) end
      elseif name:find "^[^.].*%.[ch]$" then
        files[path] = folders.read(path)
      end
    end
  end
  for _, folder in ipairs { ... } do walk(folder) end
  return files
end

--- The rows of the table in a document: { [row] = { [granted row] = as it is written } }. A row is a
-- folder, or the files of one name ("bindings/modules.*"), which then are no part of their folder.
-- Grants are written as in `#include`: `core` is host/core, `moonloop.h` host/include; `host/*` is all
-- folders below host/.
function M.rules(text)
  local cells = {}
  local body = assert(text:match "\n| folder |[^\n]*may include |\n|[-|]+\n(.-\n)\n", "there is no table of folders")
  for row, grants in body:gmatch "| `([^`]+)` |[^\n]*|([^|\n]*)|\n" do cells[row] = grants end
  local rules = {}
  for row, grants in pairs(cells) do
    rules[row] = {}
    for grant in grants:gmatch "`([^`]+)`" do
      local prefix = grant:match "^(.*)/%*$"
      if prefix then
        for other in pairs(cells) do
          if other ~= row and other:sub(1, #prefix + 1) == prefix .. "/" and not other:find "%*$" then
            rules[row][other] = grant
          end
        end
      else
        local files = grant == "moonloop.h" and "host/include" or grant:gsub("%.h$", ".*")
        local name = cells[files] and files or "host/" .. files
        if not cells[name] then error(("the row of %s names %s, which has no row"):format(row, grant)) end
        rules[row][name] = grant
      end
    end
  end
  return rules
end

--- The row that a file belongs to, or its folder if there is no row.
function M.row_of(rules, path)
  local own = path:gsub("%.[ch]$", "") .. ".*"
  return rules[own] and own or folder_of(path)
end

-- The file that an #include of `from` names, or nil: one of the system's.
-- The compiler looks in the file's own folder first: there "core/task.h" of a file in bindings/ would be
-- bindings/core/task.h.
local function included(files, from, name)
  for _, folder in ipairs { folder_of(from) .. "/", "host/include/", "host/", "" } do
    if files[folder .. name] then return folder .. name end
  end
end

-- Which file defines a symbol: name to path.
local function owners(objects)
  local owner = {}
  for path, symbols in pairs(objects) do
    for name in pairs(symbols.defines) do owner[name] = path end
  end
  return owner
end

--- What each file depends on by its text: calls visit(path, other path, how). Besides includes, what it
-- declares by hand of another file counts, where `objects` say whose it is; moonloop.h declares for
-- others what is the host's, so it is left out.
function M.each_use(files, objects, visit)
  local owner = owners(objects)
  for _, path in ipairs(sorted_keys(files)) do
    local text = files[path]
    for _, name in ipairs(c_source.includes(text)) do
      local other = included(files, path, name)
      if other then visit(path, other, "includes " .. name) end
    end
    if path ~= "host/include/moonloop.h" then
      for _, name in ipairs(c_source.declarations(text)) do
        local other = owner[name]
        if other and other ~= path then visit(path, other, ("declares %s of %s"):format(name, other)) end
      end
    end
  end
end

--- The uses that no row allows: a list of messages.
function M.broken_includes(rules, files, objects)
  local broken = {}
  M.each_use(files, objects, function(path, other, how)
    local from, to = M.row_of(rules, path), M.row_of(rules, other)
    if from ~= to and rules[from] and not rules[from][to] then
      broken[#broken + 1] = ("%s %s: %s may not include %s"):format(path, how, from, to)
    end
  end)
  return broken
end

--- The calls, and uses of variables, from object to object: path to { [other path] = a symbol }.
function M.links(objects)
  local owner, links = owners(objects), {}
  for path, symbols in pairs(objects) do
    links[path] = {}
    for _, name in ipairs(sorted_keys(symbols.uses)) do
      local other = owner[name]
      if other and other ~= path and not links[path][other] then links[path][other] = name end
    end
  end
  return links
end

--- The grants that no file makes use of, and no object: a list of messages. Grants of many (`host/*`)
-- are left out.
function M.idle_grants(rules, files, objects)
  local used = {}
  local function use(path, other) used[M.row_of(rules, path) .. " " .. M.row_of(rules, other)] = true end
  M.each_use(files, objects, use)
  for path, others in pairs(M.links(objects)) do
    for other in pairs(others) do use(path, other) end
  end
  local idle = {}
  for _, row in ipairs(sorted_keys(rules)) do
    for _, other in ipairs(sorted_keys(rules[row])) do
      local grant = rules[row][other]
      if not grant:find "%*" and not used[row .. " " .. other] then
        idle[#idle + 1] = ("%s may include %s, and no file does"):format(row, grant)
      end
    end
  end
  return idle
end

--- The calls from row to row that no row allows: a list of messages. Whoever may include moonloop.h
-- may call what it declares.
function M.broken_calls(rules, files, objects)
  local public = {}
  for _, name in ipairs(c_source.declarations(files["host/include/moonloop.h"] or "")) do public[name] = true end
  local owner, broken = owners(objects), {}
  for _, path in ipairs(sorted_keys(objects)) do
    local from = M.row_of(rules, path)
    for _, name in ipairs(sorted_keys(objects[path].uses)) do
      local other = owner[name]
      local to = other and M.row_of(rules, other)
      local allowed = not other or from == to or not rules[from] or rules[from][to]
        or (public[name] and rules[from]["host/include"])
      if not allowed then
        broken[#broken + 1] = ("%s calls %s of %s: %s may not include %s"):format(path, name, other, from, to)
      end
    end
  end
  return broken
end

--- The cycles of a graph, node to { [node] = true-like }: its strongly connected components of two
-- nodes and more, as sorted lists, the longest first.
function M.circles(graph)
  local index, low, on_stack, stack, count = {}, {}, {}, {}, 0
  local circles = {}
  local function visit(node)
    count = count + 1
    index[node], low[node] = count, count
    stack[#stack + 1], on_stack[node] = node, true
    for _, other in ipairs(sorted_keys(graph[node] or {})) do
      if not index[other] then
        visit(other)
        low[node] = math.min(low[node], low[other])
      elseif on_stack[other] then
        low[node] = math.min(low[node], index[other])
      end
    end
    if low[node] == index[node] then
      local circle = {}
      repeat
        local last = table.remove(stack)
        on_stack[last] = nil
        circle[#circle + 1] = last
      until last == node
      table.sort(circle)
      if #circle > 1 then circles[#circles + 1] = circle end
    end
  end
  for _, node in ipairs(sorted_keys(graph)) do
    if not index[node] then visit(node) end
  end
  table.sort(circles, function(a, b) return #a > #b or (#a == #b and a[1] < b[1]) end)
  return circles
end

--- A short way through a cycle, for messages: "a -> b (symbol) -> a (symbol)".
function M.way_round(links, circle)
  local inside = {}
  for _, node in ipairs(circle) do inside[node] = true end
  local start = circle[1]
  local came, queue = {}, { start }
  while #queue > 0 do
    local node = table.remove(queue, 1)
    for _, other in ipairs(sorted_keys(links[node])) do
      if inside[other] and other == start then
        local way = { ("%s (%s)"):format(start, links[node][start]) }
        while node ~= start do
          local before = came[node]
          table.insert(way, 1, ("%s (%s)"):format(node, links[before][node]))
          node = before
        end
        return start .. " -> " .. table.concat(way, " -> ")
      elseif inside[other] and not came[other] then
        came[other] = node
        queue[#queue + 1] = other
      end
    end
  end
end

--- Is the file called `name`, or `name_SOMETHING`?
local function of_family(path, name)
  local stem = stem_of(path)
  return stem == name or stem:sub(1, #name + 1) == name .. "_"
end

--- The functions and variables that a header declares and a file of another name defines: a list of
-- messages. moonloop.h gathers what many files of the host define, and open.h the openers of the
-- modules of its folder.
function M.strayed_functions(files, objects)
  local owner, strayed = owners(objects), {}
  for _, path in ipairs(sorted_keys(files)) do
    if path:find "%.h$" and path ~= "host/include/moonloop.h" then
      for _, name in ipairs(c_source.declarations(files[path])) do
        local other = owner[name]
        local is_opener = stem_of(path) == "open" and name:find "^luaopen_"
        if other and (folder_of(other) ~= folder_of(path) or not (is_opener or of_family(other, stem_of(path)))) then
          strayed[#strayed + 1] = ("%s declares %s, which is defined in %s"):format(path, name, other)
        end
      end
    end
  end
  return strayed
end

--- The functions and variables that do not begin with the name of the header that declares them: a list
-- of messages. Openers of modules have the names that Lua gives them.
function M.misnamed_symbols(files, objects)
  local owner, wrong = owners(objects), {}
  for _, path in ipairs(sorted_keys(files)) do
    if path:find "%.h$" then
      local prefix = path == "host/include/moonloop.h" and "ml" or stem_of(path)
      for _, name in ipairs(c_source.declarations(files[path])) do
        if owner[name] and name:sub(1, #prefix) ~= prefix and not name:find "^luaopen_" then
          wrong[#wrong + 1] = ("%s declares %s, which does not begin with %s"):format(path, name, prefix)
        end
      end
    end
  end
  return wrong
end

--- The declarations that a .c file makes by hand of what another one defines: a list of messages.
function M.hand_declared(files, objects)
  local owner, found = owners(objects), {}
  for _, path in ipairs(sorted_keys(files)) do
    if path:find "%.c$" then
      for _, name in ipairs(c_source.declarations(files[path])) do
        local other = owner[name]
        if other and other ~= path then
          found[#found + 1] = ("%s declares %s of %s: include its header"):format(path, name, other)
        end
      end
    end
  end
  return found
end

--- The headers whose guard is not their name: ML_TASK_H, or with folders before it where a name is
-- there twice (ML_BINDINGS_CORE_TASK_H). A list of messages.
function M.misnamed_guards(files)
  local wrong, seen = {}, {}
  for _, path in ipairs(sorted_keys(files)) do
    if path:find "%.h$" then
      local guard, fits = c_source.guard(files[path]) or "none", path == "host/include/moonloop.h" and "MOONLOOP_H"
      if not fits then
        local name = stem_of(path)
        local before = folder_of(path)
        fits = "ML_" .. name:upper() .. "_H"
        while guard ~= fits and before ~= "" do
          name = before:match "[^/]+$" .. "_" .. name
          before = folder_of(before)
          if guard == "ML_" .. name:upper() .. "_H" then fits = guard end
        end
      end
      if guard ~= fits then
        wrong[#wrong + 1] = ("%s has the guard %s, not %s"):format(path, guard, fits)
      elseif seen[guard] then
        wrong[#wrong + 1] = ("%s has the guard of %s"):format(path, seen[guard])
      end
      seen[guard] = path
    end
  end
  return wrong
end

--- The .c files of host/ that do not say where they belong: there is no header of their name or of their
-- family in the folder, and their first comment names none. A list of messages.
function M.homeless(files)
  local wrong = {}
  for _, path in ipairs(sorted_keys(files)) do
    if path:find "^host/.*%.c$" then
      local name, found = stem_of(path), c_source.first_comment(files[path]):find "[%w_]+%.h%f[^%w_]" ~= nil
      while name and not found do
        found = files[folder_of(path) .. "/" .. name .. ".h"] ~= nil
        name = name:match "^(.*)_[^_]*$"
      end
      if not found then
        wrong[#wrong + 1] = path .. " has no header of its name; its first comment should name the header it is for"
      end
    end
  end
  return wrong
end

--- The ways of a document: a list of { title =, steps = { file, ... } }, the numbered lists below
-- the headlines of its section "The ways".
function M.ways(text)
  local ways, inside = {}, false
  for line in text:gmatch "[^\n]+" do
    local title, file = line:match "^### (.+)$", line:match "^%d+%. `([^`]+)`:"
    if line:find "^## " then
      inside = line == "## The ways"
    elseif inside and title then
      ways[#ways + 1] = { title = title, steps = {} }
    elseif inside and file then
      table.insert(ways[#ways].steps, file)
    end
  end
  return ways
end

-- May a file of row `from` include one of row `to`, maybe by way of others?
local function leads_to(rules, from, to, seen)
  seen = seen or {}
  if rules[from][to] then return true end
  for other in pairs(rules[from]) do
    if not seen[other] then
      seen[other] = true
      if leads_to(rules, other, to, seen) then return true end
    end
  end
  return false
end

--- Follows a way: how many files it visits, how many of its steps go up, to a folder that may include
-- the one before; and what is wrong with it: steps that are no way up, and no call by name from a file
-- that was visited before. The scheduler is not called, it takes what is on the ready queue.
function M.follow(way, rules, links)
  local visited, count, up, wrong = {}, 0, 0, {}
  local before
  for i, name in ipairs(way.steps) do
    local path = links["host/" .. name] and "host/" .. name or name
    if not links[path] then
      wrong[#wrong + 1] = ("%s, step %d: there is no %s"):format(way.title, i, name)
    else
      local row = M.row_of(rules, path)
      if before and leads_to(rules, row, M.row_of(rules, before)) then
        up = up + 1
      elseif before and not visited[path] and path ~= "host/core/scheduler.c" then
        local called = false
        for other in pairs(visited) do called = called or links[other][path] ~= nil end
        if not called then
          wrong[#wrong + 1] = ("%s, step %d: no file before calls %s by name"):format(way.title, i, name)
        end
      end
      if not visited[path] then count = count + 1 end
      visited[path], before = true, path
    end
  end
  return count, up, wrong
end

return M
