-- The folders: files and objects agree with doc/architecture.md.
local lfs = require "lfs"
local c_source = require "spec.support.c_source"
local folders = require "spec.support.folder"
local layout = require "spec.support.layout"
local objects = require "spec.support.objects"
local process = require "spec.support.process"

local DOCUMENT = "doc/architecture.md"
local LARGEST_CIRCLE = 10 -- objects: the task core

local function none(list, message)
  assert(#list == 0, message .. ":\n  " .. table.concat(list, "\n  "))
end

describe("the folders of C files", function()
  local text = folders.read(DOCUMENT)
  local rules = layout.rules(text)
  local files = layout.files("host", "bindings", "spec", "scripts")
  local symbols, reason = objects.read()

  local function needs_objects()
    if not symbols then pending(reason) end
    return symbols
  end

  it("all have a row in doc/architecture.md, and every row is about existing files", function()
    local there, wrong = {}, {}
    for path in pairs(files) do there[layout.row_of(rules, path)] = true end
    for row in pairs(there) do
      if not rules[row] then wrong[#wrong + 1] = row .. " has no row" end
    end
    for row in pairs(rules) do
      if not there[row] then wrong[#wrong + 1] = row .. " has a row, and no C file" end
    end
    none(wrong, "the table of " .. DOCUMENT .. " is not that of the folders")
  end)

  it("are the place of each file of host/", function()
    assert.equal("", (process.sh "find host -maxdepth 1 -type f"))
  end)

  it("do not include each other in a cycle", function()
    local circles = {}
    for i, circle in ipairs(layout.circles(rules)) do circles[i] = layout.way_round(rules, circle) end
    none(circles, "the table of " .. DOCUMENT .. " allows circles")
  end)

  it("include only what their row allows, and declare nothing else by hand", function()
    none(layout.broken_includes(rules, files, symbols or {}), "against the table of " .. DOCUMENT)
  end)

  it("call only what their row allows", function()
    if needs_objects() then none(layout.broken_calls(rules, files, symbols), "against the table of " .. DOCUMENT) end
  end)

  it("make use of everything that their row allows", function()
    if needs_objects() then none(layout.idle_grants(rules, files, symbols), "to be taken out of " .. DOCUMENT) end
  end)

  it("have no larger link cycle than the task core's", function()
    if not needs_objects() then return end
    local links, large = layout.links(symbols), {}
    for _, circle in ipairs(layout.circles(links)) do
      if #circle > LARGEST_CIRCLE then
        large[#large + 1] = ("%d objects call each other: %s\n    they are %s"):format(
          #circle, layout.way_round(links, circle), table.concat(circle, " "))
      end
    end
    none(large, ("of more than %d objects"):format(LARGEST_CIRCLE))
  end)

  it("define functions in the file of the header that declares them", function()
    if needs_objects() then none(layout.strayed_functions(files, symbols), "functions in other files") end
  end)

  it("name functions after the header that declares them", function()
    if needs_objects() then none(layout.misnamed_symbols(files, symbols), "functions with other names") end
  end)

  it("declare by hand nothing that has a header", function()
    if needs_objects() then none(layout.hand_declared(files, symbols), "declarations without their header") end
  end)

  it("have headers whose guards are their names", function()
    none(layout.misnamed_guards(files), "include guards")
  end)

  it("have a header for each .c file of host/, or its first comment names one", function()
    none(layout.homeless(files), "files without a module")
  end)

end)

describe("doc/architecture.md", function()
  local text = folders.read(DOCUMENT)
  local files = layout.files("host", "bindings", "spec", "scripts", "cmake")

  it("names files, functions and folders that exist", function()
    local there, missing, all = {}, {}, {}
    for path, source in pairs(files) do
      all[#all + 1] = source
      while path do -- by its name alone, and with some of the folders before it
        there[path] = true
        path = path:match "^[^/]+/(.*)$"
      end
    end
    local sources = table.concat(all, "\n")
    for name in text:gmatch "`([^`%s]+)`" do
      local ok = true
      if name:find "^[%l%d_/]+%.[ch]$" then
        ok = there[name]
      elseif name:find "^[%l%d_]+/[%l%d_/.]*$" then
        ok = lfs.attributes(name) or lfs.attributes("host/" .. name)
      elseif name:find "^%l+_[%l%d_]+$" then -- a function
        ok = sources:find(name, 1, true)
      end
      if not ok then missing[#missing + 1] = name end
    end
    none(missing, DOCUMENT .. " names what is not there")
    for name in text:gmatch "%]%(([%w./_-]+)%)" do assert.truthy(lfs.attributes("doc/" .. name), name) end
  end)

  it("has ways that follow calls, a request and a GET through few files", function()
    local symbols, reason = objects.read()
    if not symbols then return pending(reason) end
    local rules, links = layout.rules(text), layout.links(symbols)
    local ways = layout.ways(text)
    assert.equal(4, #ways)
    local wrong = {}
    for _, way in ipairs(ways) do
      assert(#way.steps > 5, way.title)
      local count, up, faults = layout.follow(way, rules, links)
      table.move(faults, 1, #faults, #wrong + 1, wrong)
      if way.title:find "request" or way.title:find "GET" then
        if count > 12 then wrong[#wrong + 1] = ("%s: %d files"):format(way.title, count) end
        if up > 3 then wrong[#wrong + 1] = ("%s: %d steps up"):format(way.title, up) end
      end
    end
    none(wrong, "the ways of " .. DOCUMENT)
  end)
end)

-- A check that finds nothing proves nothing, unless it finds what is there.
describe("the checks of the folders find", function()
  local TABLE = [[

| folder | what it is | may include |
|---|---|---|
| `host/include` | | |
| `host/base` | | |
| `host/core` | | `moonloop.h`, `base` |
| `bindings` | | `core` |
| `bindings/registry.*` | | `bindings/*` |
| `bindings/a` | | `bindings` |

]]

  local function rules() return layout.rules(TABLE) end

  it("the rows and grants of the table", function()
    assert.same({
      ["host/include"] = {}, ["host/base"] = {},
      ["host/core"] = { ["host/include"] = "moonloop.h", ["host/base"] = "base" },
      bindings = { ["host/core"] = "core" },
      ["bindings/registry.*"] = { ["bindings/a"] = "bindings/*" },
      ["bindings/a"] = { bindings = "bindings" },
    }, rules())
    assert.has_error(function() layout.rules(TABLE:gsub("`base`", "`bass`")) end, nil)
  end)

  it("includes and declarations in C, and no more", function()
    local text = [[
/* "in a comment": extern int not_this(void); */
#include "core/task.h"
 #  include <uv.h>
#define TWO \
  int not_that(void);
static int own(int n);
typedef int Callback(void *);
struct Later;
struct Point { int x; } origin;
extern char **environ;
extern const int numbers[3];
extern unsigned weak(const void *p) __attribute__((weak));
_Noreturn void ends(int why,
                    void (*then)(int));
const char quote = '"', *text = "int not_in(void);"; // int nor_here(void);
MACRO(argument);
static inline int body(int n) {
  extern int deep(int);
  call(n);
  return n;
}
int after(void);
]]
    assert.same({ "core/task.h", "uv.h" }, c_source.includes(text))
    assert.same({ "environ", "numbers", "weak", "ends", "deep", "after" }, c_source.declarations(text))
    assert.same({ "f" }, c_source.declarations 'extern "C" {\nint f(void);\n}\n')
  end)

  it("an include, a declaration and a call that the table does not allow", function()
    local files = {
      ["host/base/buffer.c"] = '#include "core/task.h"\n',
      ["host/core/task.h"] = "int task_new(void);\n",
      ["host/core/task.c"] = '#include "base/buffer.h"\nint a_open(void);\n',
      ["host/base/buffer.h"] = "", ["bindings/a/a.c"] = "",
    }
    local made = {
      ["bindings/a/a.c"] = { defines = { a_open = true }, uses = { task_new = true } },
      ["host/core/task.c"] = { defines = { task_new = true }, uses = { a_open = true } },
    }
    assert.same({
      "host/base/buffer.c includes core/task.h: host/base may not include host/core",
      "host/core/task.c declares a_open of bindings/a/a.c: host/core may not include bindings/a",
    }, layout.broken_includes(rules(), files, made))
    assert.same({
      "bindings/a/a.c calls task_new of host/core/task.c: bindings/a may not include host/core",
      "host/core/task.c calls a_open of bindings/a/a.c: host/core may not include bindings/a",
    }, layout.broken_calls(rules(), files, made))
    assert.same({ "host/core/task.c declares a_open of bindings/a/a.c: include its header" },
      layout.hand_declared(files, made))
    assert.same({
      "bindings may include core, and no file does",
      "bindings/a may include bindings, and no file does",
      "host/core may include moonloop.h, and no file does",
    }, layout.idle_grants(rules(), files, made))
  end)

  it("a registry's own row, and a header of it that its folder declares for another", function()
    local files = {
      ["bindings/registry.h"] = "int luaopen_a(void *L);\n", ["bindings/a/a.c"] = '#include "bindings/registry.h"\n',
    }
    local made = { ["bindings/a/a.c"] = { defines = { luaopen_a = true }, uses = {} } }
    assert.same({ "bindings/a/a.c includes bindings/registry.h: bindings/a may not include bindings/registry.*" },
      layout.broken_includes(rules(), files, made))
    files = { ["bindings/helpers.h"] = '#include "a/a.h"\n', ["host/a/a.h"] = "", ["bindings/a/a.h"] = "" }
    assert.same({ "bindings/helpers.h includes a/a.h: bindings may not include bindings/a" },
      layout.broken_includes(rules(), files, {})) -- as the compiler finds it
    files = { ["bindings/helpers.h"] = "int luaopen_a(void *L);\n" }
    assert.same({ "bindings/helpers.h declares luaopen_a of bindings/a/a.c: bindings may not include bindings/a" },
      layout.broken_includes(rules(), files, made))
  end)

  it("cycles, and a way through them", function()
    local graph = {
      a = { b = "f" }, b = { c = "g" }, c = { a = "h", d = "i" }, d = {}, e = { f = "j" }, f = { e = "k" },
    }
    local circles = layout.circles(graph)
    assert.same({ { "a", "b", "c" }, { "e", "f" } }, circles)
    assert.equal("a -> b (f) -> c (g) -> a (h)", layout.way_round(graph, circles[1]))
  end)

  it("ways: their number of files and steps up, and steps that nothing calls", function()
    local ways = layout.ways [[
## The ways

### One

Words.

1. `core/task.c`: begins
2. `base/buffer.c`: is called
3. `core/task.c`: is called back
4. `core/scope.c`: is not called
5. `core/none.c`: is not there

### Two

1. `bindings/a/a.c`: begins
2. `bindings/helpers.c`: is called

## Else
]]
    assert.same({
      { title = "One", steps = { "core/task.c", "base/buffer.c", "core/task.c", "core/scope.c", "core/none.c" } },
      { title = "Two", steps = { "bindings/a/a.c", "bindings/helpers.c" } },
    }, ways)
    local links = {
      ["host/core/task.c"] = { ["host/base/buffer.c"] = "buffer" }, ["host/base/buffer.c"] = {},
      ["host/core/scope.c"] = { ["host/core/task.c"] = "task" },
      ["bindings/a/a.c"] = { ["bindings/helpers.c"] = "help" }, ["bindings/helpers.c"] = {},
    }
    assert.same({ 3, 1, {
      "One, step 4: no file before calls core/scope.c by name",
      "One, step 5: there is no core/none.c",
    } }, { layout.follow(ways[1], rules(), links) })
    assert.same({ 2, 0, {} }, { layout.follow(ways[2], rules(), links) })
  end)

  it("definitions in the wrong file or with the wrong name", function()
    local files = {
      ["host/core/task.h"] = "#ifndef ML_TASK_H\nvoid task_a(void);\nvoid task_b(void);\nvoid task_c(void);\n",
      ["bindings/core/task.h"] = "#ifndef ML_CORE_TASK_H\n", ["bindings/a/task.h"] = "#ifndef ML_TASK_H\n",
      ["host/core/scope.h"] = "#ifndef SCOPE_H\n",
      ["host/core/task_site.c"] = "", ["host/core/wait.c"] = "/* Waiting, as moonloop.h tells. */",
      ["host/core/site.c"] = "/* Where? */\n/* task.h */", ["bindings/a/b.c"] = "",
    }
    local made = {
      ["host/core/task_site.c"] = { defines = { task_a = true }, uses = {} },
      ["host/core/site.c"] = { defines = { task_b = true }, uses = {} },
      ["bindings/core/task.c"] = { defines = { task_c = true }, uses = {} },
    }
    assert.same({
      "host/core/task.h declares task_b, which is defined in host/core/site.c",
      "host/core/task.h declares task_c, which is defined in bindings/core/task.c",
    }, layout.strayed_functions(files, made))
    assert.same({}, layout.misnamed_symbols(files, made))
    files["bindings/a/open.h"] = "int luaopen_a(void *L);\nint luaopen_b(void *L);\n"
    made["bindings/a/b.c"] = { defines = { luaopen_a = true }, uses = {} }
    made["bindings/b.c"] = { defines = { luaopen_b = true }, uses = {} }
    assert.equal("bindings/a/open.h declares luaopen_b, which is defined in bindings/b.c",
      layout.strayed_functions(files, made)[1])
    assert.equal(3, #layout.strayed_functions(files, made))
    files["bindings/a/open.h"] = nil
    files["host/core/scope.h"] = "#ifndef SCOPE_H\nvoid task_a(void);\nint luaopen_x(void *);\n"
    made["host/core/scope.c"] = { defines = { luaopen_x = true }, uses = {} }
    assert.same({ "host/core/scope.h declares task_a, which does not begin with scope" },
      layout.misnamed_symbols(files, made))
    assert.same({
      "host/core/scope.h has the guard SCOPE_H, not ML_SCOPE_H",
      "host/core/task.h has the guard of bindings/a/task.h",
    }, layout.misnamed_guards(files))
    assert.same({ "host/core/site.c has no header of its name; its first comment should name the header it is for" },
      layout.homeless(files))
  end)
end)
