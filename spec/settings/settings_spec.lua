-- ml.settings: where values come from, how they are read, shown and refused.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local s = ml.schema

local environment = {}
local real = os.getenv

--- The settings of the fields, with these variables, files in a folder ("" is .env) and other options.
local folder

before_each(function()
  environment = {}
  folder = folders.new {}
  os.getenv = function(name) return environment[name] or real(name) end -- luacheck: ignore
end)

after_each(function()
  os.getenv = real -- luacheck: ignore
  folder.close()
end)

local function env_file(text, name)
  local path = folder.path .. "/" .. (name or ".env")
  folders.write(path, text)
  return path
end

--- The message of the error, without the folder.
local function refusal(opts)
  local ok, err = pcall(ml.settings, opts)
  assert.is_false(ok)
  assert.equal("settings", err.kind, tostring(err))
  return (err.message:gsub(folder.path:gsub("%p", "%%%0") .. "/", ""))
end

describe("settings", function()
  it("come from the environment, .env files, secrets and defaults, in this order", function()
    environment = { SPEC_A = "env" }
    local file = env_file "SPEC_A=file\nSPEC_B=file\n"
    for _, name in ipairs { "SPEC_A", "SPEC_B", "spec_c" } do env_file("secret\n", name) end
    local fields = {}
    for _, name in ipairs { "a", "b", "c", "d" } do fields[name] = s.string():default "default" end
    local settings = ml.settings { fields, env_prefix = "SPEC_", dotenv = file, secrets_dir = folder.path }
    assert.same({ "env", "file", "secret", "default" }, { settings.a, settings.b, settings.c, settings.d })
  end)

  it("are read as texts", function()
    environment = { PORT = "8000", DEBUG = "on", RATE = "0.5", SINCE = "2026-11-28", KIND = "b", NAME = "" }
    local settings = ml.settings { { port = s.int(), debug = s.bool(), rate = s.number(), since = s.date(),
      kind = s.enum { "a", "b" }, name = s.string(), note = s.string():optional() } }
    assert.same({ 8000, true, 0.5, "2026-11-28", "b", "" }, { settings.port, settings.debug, settings.rate,
      settings.since, settings.kind, settings.name })
    assert.is_nil(settings.note)
  end)

  it("that are empty count as absent where no text is wanted", function()
    environment = { PORT = "", HOSTS = "" }
    local settings = ml.settings { { port = s.int():default(80), hosts = s.list(s.string()):default {} } }
    assert.same({ 80, {} }, { settings.port, settings.hosts })
  end)

  it("in objects have names with two underscores, or are JSON", function()
    environment = { DB__URL = "sqlite:a.db", DB__POOL__MAX = "5", CACHE = '{"ttl": 3, "name": "x"}', CACHE__NAME = "y" }
    local settings = ml.settings { schema = s.object("Settings", {
      db = s.object { url = s.string(), pool = s.object { max = s.int(), min = s.int():default(1) } },
      cache = s.object { ttl = s.int(), name = s.string() },
      mail = s.object { host = s.string() }:optional(),
      log = s.object { level = s.string():default "info" },
    }) }
    assert.same({ "sqlite:a.db", 5, 1 }, { settings.db.url, settings.db.pool.max, settings.db.pool.min })
    assert.same({ 3, "y", "info" }, { settings.cache.ttl, settings.cache.name, settings.log.level })
    assert.is_nil(settings.mail)
  end)

  it("that are lists and maps are JSON", function()
    environment = { HOSTS = '["a", "b"]', PORTS = "[1, 2]", LIMITS = '{"a": 1}', ANY = "[", EITHER = "[1]" }
    local settings = ml.settings { { hosts = s.list(s.string()), ports = s.list(s.int()), limits = s.map(s.int()),
      any = s.any(), either = s.union { s.string(), s.list(s.int()) } } }
    assert.same({ { "a", "b" }, { 1, 2 }, { a = 1 }, "[", { 1 } },
      { settings.hosts, settings.ports, settings.limits, settings.any, settings.either })
  end)

  it("may be null, of several kinds, and JSON in JSON", function()
    environment = { A = "null", B = '{"kind": "x", "n": 1}', C = '{"k": [1.5]}' }
    local settings = ml.settings { { a = s.object { b = s.int() }:nullable(),
      b = s.tagged("kind", { x = s.object { n = s.int() } }), c = s.map(s.list(s.number())) } }
    assert.equal(ml.json.null, settings.a)
    assert.same({ { kind = "x", n = 1 }, { k = { 1.5 } } }, { settings.b, settings.c })
    environment = { A = "{", B = '{"b": 1, "c": 2}', C = "5" }
    assert.matches('^2 are wrong:\n  A: an object of JSON expected, as {"name": 1}: [^\n]*\n  B__C: Extra inputs '
      .. "are not permitted %(environment%)$", refusal { { a = s.object { b = s.int() },
        b = s.object({ b = s.int() }, { extra = "forbid" }) } })
    assert.equal("Value error, too much", refusal { s.object { c = s.int() }:check(function() return "too much" end) })
  end)

  it("are told all at once where they are wrong, with their source", function()
    environment = { PORT = "eighty", HOSTS = "a.example", DB__POOL = "0", PORTS = '[1, "x"]' }
    local file = env_file "LEVEL=loud\nDEBUG maybe\n"
    local fields = { port = s.int(), hosts = s.list(s.string()), ports = s.list(s.int()), level = s.enum { "low",
      "high" },
      db = s.object { url = s.string(), pool = s.int { min = 1 } } }
    assert.equal([[
7 are wrong:
  .env:2: this line is no setting (NAME=value); values of several lines need quotes
  HOSTS: a value of JSON expected, as ["a", "b"]: unexpected character at line 1 column 1 (environment)
  DB__POOL: Input should be greater than or equal to 1, not "0" (environment)
  DB__URL: is missing (not in the environment, .env, ]] .. folder.path .. [[)
  LEVEL: Input should be 'low' or 'high', not "loud" (.env:1)
  PORT: Input should be a valid integer, unable to parse string as an integer, not "eighty" (environment)
  PORTS (1): Input should be a valid integer, unable to parse string as an integer, not "x" (environment)]],
      (refusal { fields, dotenv = file, secrets_dir = folder.path }:gsub("JSON expected, as (%S+ %S+): [^(]*",
        "JSON expected, as %1: unexpected character at line 1 column 1 ")))
  end)

  it("are told with the .env file that is not there", function()
    assert.equal("PORT: is missing (not in the environment, no/such.env, which is no file here)",
      refusal { { port = s.int() }, dotenv = "no/such.env" })
  end)

  it("whose name is wrong in a .env file are told, with a prefix", function()
    local file = env_file "SHOP_PROT=80\nOTHER=1\n"
    assert.equal("SHOP_PROT: there is no such setting (did you mean 'SHOP_PORT'?) (.env:1)",
      refusal { { port = s.int():default(1) }, env_prefix = "SHOP_", dotenv = file })
    assert.equal(1, ml.settings({ { port = s.int():default(1) }, dotenv = file }).port)
  end)

  it("do not show secrets, when they are printed or wrong", function()
    environment = { KEY = "hush", DB__URL = "postgres://ann:hush@db.example/shop", TOKENS = '["hush"]',
      HOSTS = '[{"key": "hush"}]' }
    local fields = { { "key", s.string { secret = true } }, { "db", s.object { url = s.string() } },
      { "tokens", s.list(s.string { secret = true }) },
      { "hosts", s.list(s.object { key = s.string { secret = true } }) }, { "port", s.int():default(80) }, { "note",
        s.string():optional() } }
    local settings = ml.settings { fields }
    assert.equal([[
key = (hidden)
db.url = "postgres://ann:***@db.example/shop"
tokens = (hidden)
hosts = (hidden)
port = 80
note = nil]], tostring(settings))
    assert.equal('url = "postgres://ann:***@db.example/shop"', tostring(settings.db))
    assert.equal("hush", settings.key)
    local show = require "moonloop.repl.show"
    assert.is_nil(tostring(show.value(settings)):find("hush", 1, true))
    for _, schema in ipairs { s.string { secret = true, max = 2 }, s.int { secret = true } } do
      assert.is_nil(refusal({ { key = schema } }):find("hush", 1, true))
    end
    assert.is_nil(refusal({ { db = s.object { url = s.string { max = 3 } } } }):find("hush", 1, true))
  end)

  it("do not show what is called like a secret, unless the schema says that it is none", function()
    environment = { DB_PASSWORD = "hush", API_KEY = "hush", TOKEN_NAME = "shop", AUTH__USER = "hush",
      URL = "postgres://ann:hu@sh@db.example/shop" }
    local settings = ml.settings { { { "db_password", s.string() }, { "api_key", s.string() },
      { "token_name", s.string { secret = false } }, { "auth", s.object { user = s.string() } },
      { "url", s.string() } } }
    assert.equal([[
db_password = (hidden)
api_key = (hidden)
token_name = "shop"
auth = (hidden)
url = "postgres://ann:***@db.example/shop"]], tostring(settings))
    assert.equal("hush", settings.db_password)
    local said = refusal { { db_password = s.string { max = 2 }, api_key = s.int(),
      auth = s.object { user = s.int() } } }
    for _, name in ipairs { "DB_PASSWORD", "API_KEY", "AUTH__USER" } do assert.matches(name, said) end
    assert.is_nil(said:find("hush", 1, true))
  end)

  it("are an object that is read, not changed", function()
    local settings = ml.settings { { port = s.int():default(80) } }
    assert.error_matches(function() settings.port = 81 end, "settings are not changed %(setting 'port'%)")
    assert.error_matches(function() return settings.prot end,
      "unknown setting 'prot' of ml.settings %(did you mean 'port'%?%)")
    local names = {}
    for name in pairs(settings) do names[#names + 1] = name end
    assert.same({ "port" }, names)
  end)

  it("need no file to exist", function()
    assert.equal(1, ml.settings({ { a = s.int():default(1) }, dotenv = { "no/file", folder.path },
      secrets_dir = "no/folder" }).a)
  end)

  it("may be in several files, of which the last counts most", function()
    local one, two = env_file("A=1\nB=1\n", "one"), env_file("A=2\n", "two")
    local settings = ml.settings { { a = s.int(), b = s.int() }, dotenv = { one, two } }
    assert.same({ 2, 1 }, { settings.a, settings.b })
  end)

  it("refuse wrong options at the caller's line", function()
    for message, opts in pairs {
      ["an object schema or a table of fields expected, got nil"] = {},
      ["an object schema or a table of fields expected, got a schema of kind 'int'"] = { s.int() },
      ["unknown option 'dotnev' of ml.settings %(did you mean 'dotenv'"] = { {}, dotnev = "x" },
      ["option 'dotenv' of ml.settings is a boolean"] = { {}, dotenv = true },
    } do
      local err = select(2, pcall(ml.settings, opts))
      assert.matches("^spec/settings/settings_spec.lua:%d+: .-" .. message, tostring(err))
    end
    assert.error_matches(function() ml.settings(s.object {}) end, "write ml.settings { schema }")
    assert.error_matches(function() ml.settings() end, "bad argument #1 to 'ml.settings'")
  end)
end)

describe("a .env file", function()
  local dotenv = require "moonloop.settings.dotenv"

  local function values(text)
    local found, problems = dotenv.parse(text)
    assert.same({}, problems)
    local plain = {}
    for name, entry in pairs(found) do plain[name] = entry.value end
    return plain
  end

  it("has names, values and comments", function()
    assert.same({ A = "1", B = "two words", C = "", D = "a#b", E = "x", F = "'", ["G.H"] = "1=2", I = "$A ${B}" },
      values "# first\n\nA=1\n B = two words  # comment\nC=\nD=a#b\nexport E=x\nF=\"'\"\nG.H=1=2\nI=$A ${B}")
    assert.same({ A = "1", B = "2" }, values "\239\187\191A=1\r\nB=2\r\n")
    assert.same({ A = "" }, values "A= # nothing")
  end)

  it("has quotes, over several lines, too", function()
    assert.same({ A = " # $x \\n ", B = "a\nb\t\"\\$", C = "one\ntwo", D = "key\nkey", E = "1" },
      values "A=' # $x \\n '\nB=\"a\\nb\\t\\\"\\\\\\$\" # comment\nC=\"one\ntwo\"\nD='key\nkey'\nE=1")
  end)

  it("is told with its lines where it is wrong", function()
    local _, problems = dotenv.parse("A=1\nwrong\n1A=2\nB=\"x\ny\" z\nC=\"\\q\"\n=1\nD='open\n")
    local no_setting = "this line is no setting (NAME=value); values of several lines need quotes"
    assert.same({
      { line = 2, message = no_setting },
      { line = 3, message = "what is before the = is no name, which has letters, digits and _" },
      { line = 4, message = "something follows the end of the quotes" },
      { line = 5, message = no_setting },
      { line = 6, message = "\\q means nothing in double quotes (use single quotes, or \\\\)" },
      { line = 7, message = no_setting },
      { line = 8, message = "the quote ' has no end" },
    }, problems)
  end)

  it("is not quoted where it is wrong, since that may be a part of a secret", function()
    local secret = { "MIIEvQIBADANBgkqhkiG9w0", "n4bQ+YhMf/WaL", "hunter" }
    local _, problems = dotenv.parse(("KEY=-----BEGIN PRIVATE KEY-----\n%s\n%s==\nA=\"x\"%s\n"):format(
      table.unpack(secret)))
    assert.equal(3, #problems)
    for _, problem in ipairs(problems) do
      for _, text in ipairs(secret) do assert.not_matches(text, problem.message, 1, true) end
    end
  end)

  it("may be anything, without a crash or a loop", function()
    math.randomseed(1)
    local pieces = { "A", "=", "'", '"', "\n", "#", " ", "\\", "export ", "x", "\r", "\0", "$" }
    for _ = 1, 5000 do
      local text = {}
      for i = 1, math.random(20) do text[i] = pieces[math.random(#pieces)] end
      dotenv.parse(table.concat(text))
    end
  end)
end)
