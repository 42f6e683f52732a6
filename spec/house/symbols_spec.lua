-- The exported symbols of the program and its library: Lua's, moonloop.h's, and libuv's of the program. Any
-- other would replace a C module's own, or keep a program from being linked.
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"

local folder = support.binary:match("^.*/")
local ARCHIVE = folder .. "libmoonloop_host.a"

local STANDARD_LIBRARY = {}
for _, name in ipairs { "base", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" } do
  STANDARD_LIBRARY["luaopen_" .. name] = true
end

--- The symbols that `nm OPTIONS FILE` lists, sorted.
local function symbols(options, file)
  local output, status = process.sh(("nm -P %s %s"):format(options, process.quote(file)))
  assert.equal(0, status, output)
  local names = {}
  for line in output:gmatch "[^\n]+" do -- "name type ...", or the path of a member, which may hold spaces
    names[#names + 1] = line:match "^([%w_.@$]+) %a%f[%s\0]"
  end
  table.sort(names)
  return names
end

--- Those of `names` of which `is` is true.
local function those(names, is)
  local list = {}
  for _, name in ipairs(names) do
    if is(name) then list[#list + 1] = name end
  end
  return list
end

local function is_public(name) return name:find "^ml_" ~= nil end

--- The functions that moonloop.h has.
local function public_functions()
  local names = {}
  for name in folders.read("host/include/moonloop.h"):gmatch("\nML_API [^;]-([%w_]+)%(") do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("the symbols", function()
  it("of the program are Lua's, libuv's and moonloop.h's: no other replaces a module's own", function()
    local names = symbols("-D --defined-only", support.binary)
    local replaced = {} -- of libc's, in this build
    if #those(symbols("-D --undefined-only", support.binary), function(name) return name == "__tsan_init" end) > 0 then
      replaced = { __longjmp_chk = true, sigaction = true, signal = true, syscall = true }
    end
    assert.same({}, those(names, function(name)
      return not (is_public(name) or name:find "^lua_" or name:find "^luaL_" or name:find "^uv_"
        or STANDARD_LIBRARY[name] or replaced[name]
        or name:find "@GLIBC" or name:find "^__asan_") -- variables of libraries, such as stdout
    end))
    assert.same(public_functions(), those(names, is_public))
    assert.equal(10, #those(names, function(name) return STANDARD_LIBRARY[name] end))
  end)

  it("of the library for C programs are moonloop.h's", function()
    assert.same(public_functions(), symbols("-g --defined-only", ARCHIVE))
  end)

  it("declared in moonloop.h are all marked for export", function()
    local marked, declared = public_functions(), {}
    local code = folders.read("host/include/moonloop.h"):gsub("/%*.-%*/", "")
    for name in code:gmatch("(ml_[%w_]+)%([^*]") do declared[#declared + 1] = name end
    table.sort(declared)
    assert.same(declared, marked)
  end)
end)

-- A script that uses much of the host, with a module "clash" whose functions are called as the host's.
local USES_THE_HOST = [=[
local ml, clash = require "moonloop", require "clash"
assert(#clash.names() > 500)
print("redirected: " .. table.concat(clash.redirected(), " "))

assert(ml.json.encode(assert(ml.json.decode '[null,{"a":[1,-2.5,"\\u00e9"]}]')) == '[null,{"a":[1,-2.5,"é"]}]')
assert(ml.executor.run(function(list) return #list, require "clash".calls() end, { 1, 2, 3 }) == 3)
assert(select(2, ml.timeout(0.01, ml.sleep, 60)).kind == "timeout")

local signer = ml.web.signer(("s"):rep(32))
local app = ml.web.app()
app:use(ml.web.compress())
app:post("/{n:int}", function(req)
  return ml.web.response { json = { n = req.params.n, text = req:form().text:rep(2000) } }
    :set_signed_cookie("who", "me", signer)
end)
local server = assert(ml.web.listen(app, { port = 0 }))
local url = ("://127.0.0.1:%d/7"):format(server.port)
local res = assert(ml.http.post("http" .. url, { form = { text = "é&=" } }))
assert(res:json().n == 7 and res:json().text == ("é&="):rep(2000))
assert(res.headers["set-cookie"][1]:find "^who=")
assert(select(2, ml.http.post("https" .. url)).kind == "tls") -- OpenSSL's way
server:stop()

print("the host's calls: " .. clash.calls())
clash.call()
print("all arrive: " .. tostring(clash.calls() == #clash.names()))
]=]

local USED = "redirected: \nthe host's calls: 0\nall arrive: true\n"

describe("a C module with functions named like the host's", function()
  local function run(before)
    local path = ("package.cpath = %q .. package.cpath\n"):format(folder .. "spec/?.so;")
    return process.run(path .. before .. USES_THE_HOST)
  end

  it("uses its own, and the host uses the host's", function()
    local output, status = run ""
    assert.equal(USED, output)
    assert.equal(0, status)
  end)

  it("uses its own even if all modules see its symbols, and the host uses the host's", function()
    local output, status = run [[assert(package.loadlib(package.searchpath("clash", package.cpath), "*"))
    ]]
    assert.equal(USED, output)
    assert.equal(0, status)
  end)
end)

describe("a C program that embeds the host and has functions named like the host's", function()
  it("can be linked, and uses its own", function()
    local script <close> = folders.file(USES_THE_HOST)
    local program = process.quote(folder .. "spec/clash_embed")
    local output, status = process.sh(("timeout 300 %s %s"):format(program, script.path))
    assert.equal(USED, output)
    assert.equal(0, status)
  end)
end)

-- Each in a process of its own, where a crash is one failure.
describe("other people's C module", function()
  --- Runs the code, which is to print `expected`.
  local function assert_prints(expected, code)
    local output, status = process.run(code)
    assert.equal(expected, output)
    assert.equal(0, status)
  end

  it("rex_pcre2 replaces with a function: its buffer_free was the host's, a crash", function()
    assert_prints("heLLo worLd\t2\t2\nml\n", [[
      local rex = require "rex_pcre2"
      print(rex.gsub("hello world", "l+", string.upper))
      print(ml.spawn(rex.match, "an ml task", "\\bm(?=l)l"):await())
    ]])
  end)

  it("lpeg matches, with a function of Lua in the grammar", function()
    assert_prints("6\n1,22,333\n", [[
      local lpeg = require "lpeg"
      local digits = lpeg.C(lpeg.R "09" ^ 1)
      local sum = lpeg.Cf(digits / tonumber * ("+" * digits / tonumber) ^ 0, function(a, b) return a + b end)
      print(sum:match "1+2+3")
      print(table.concat(require "re".compile "{| {%d+} (',' {%d+})* |}":match "1,22,333", ","))
    ]])
  end)

  it("luasocket asks the server, from a worker's thread", function()
    assert_prints("200\thello\tYm9keQ==\n", [[
      local app = ml.web.app()
      app:get("/{name}", function(req) ml.sleep(0.01) return req.params.name end)
      local server = assert(ml.web.listen(app, { port = 0 }))
      print(ml.executor.run(function(url)
        local body, status = require "socket.http".request(url)
        return status, body, (require "mime".b64 "body")
      end, ("http://127.0.0.1:%d/hello"):format(server.port)))
      server:stop()
    ]])
  end)

  it("lfs lists a folder", function()
    local place <close> = folders.new { ["a.txt"] = "12345", sub = {} }
    assert_prints("a.txt\tfile\t5\nsub\tdirectory\n", ([[
      local lfs, path = require "lfs", %q
      local names = {}
      for name in lfs.dir(path) do if name:find "^[^.]" then names[#names + 1] = name end end
      table.sort(names)
      for _, name in ipairs(names) do
        local is = lfs.attributes(path .. "/" .. name)
        if is.mode == "file" then print(name, is.mode, is.size) else print(name, is.mode) end
      end
    ]]):format(place.path))
  end)

  it("luasql.sqlite3 keeps rows", function()
    assert_prints("a\t1\nb\t2\n", [[
      local environment = require "luasql.sqlite3".sqlite3()
      local db = assert(environment:connect ":memory:")
      assert(db:execute "create table t (name text, n integer)")
      for i, name in ipairs { "a", "b" } do assert(db:execute(("insert into t values ('%s', %d)"):format(name, i))) end
      local cursor = assert(db:execute "select name, n from t order by n")
      for name, n in cursor.fetch, cursor do print(name, tostring(math.tointeger(n))) end
      cursor:close() db:close() environment:close()
    ]])
  end)

  it("luaossl and the host's own cryptography work side by side, and TLS", function()
    assert_prints("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\ntrue\tme\ntls\n", [[
      local digest, pkey = require "openssl.digest", require "openssl.pkey"
      print((digest.new "sha256":final "abc":gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
      local signer = ml.web.signer(("s"):rep(32))
      local token = signer:sign "me"
      local key = pkey.new { type = "EC", curve = "prime256v1" }
      local signature = key:sign(digest.new "sha256":update(token))
      print(key:verify(signature, digest.new "sha256":update(token)), signer:verify(token))
      local server = assert(ml.web.listen(ml.web.app(), { port = 0 }))
      local _, err = ml.http.get(("https://127.0.0.1:%d/"):format(server.port)) -- which has no TLS
      print(err.kind)
      server:stop()
    ]])
  end)

  it("zlib makes what the client and the host's own zlib read", function()
    assert_prints("true\ttrue\n", [[
      local zlib, text = require "zlib", ("moonloop "):rep(10000)
      local app = ml.web.app()
      app:use(ml.web.compress())
      app:get("/theirs", function()
        local body = zlib.deflate(9, 15 + 16)(text, "finish")
        return ml.web.response { body = body, headers = { ["content-encoding"] = "gzip" } }
      end)
      app:get("/ours", function() return text end)
      local server = assert(ml.web.listen(app, { port = 0 }))
      local url = ("http://127.0.0.1:%d"):format(server.port)
      local theirs = assert(ml.http.get(url .. "/theirs")).body
      local ours = assert(ml.http.get(url .. "/ours")).body
      print(theirs == text, ours == text)
      server:stop()
    ]])
  end)

  it("lxp calls Lua for each element", function()
    assert_prints("+list\n+item\n  one\n-item\n-list\n", [[
      local parser = require "lxp".new {
        StartElement = function(_, name) print("+" .. name) end,
        CharacterData = function(_, text) print("  " .. text) end,
        EndElement = function(_, name) print("-" .. name) end,
      }
      assert(parser:parse "<list><item>one</item></list>")
      assert(parser:parse())
      parser:close()
    ]])
  end)

  it("lyaml reads and writes", function()
    assert_prints('{"list":[1,2.5,"three"]}\n---\na: 1\n...\n\n', [[
      local lyaml = require "lyaml"
      print(ml.json.encode(lyaml.load "list: [1, 2.5, three]"))
      print(lyaml.dump { { a = 1 } })
    ]])
  end)
end)
