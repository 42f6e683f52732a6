-- Where a URL leads, as ml.http reads it and as browsers do (the URL standard; Node.js has a reader of its own): both
-- agree, or we refuse. A difference would let a check of one be passed by what the other does.
local core = require "moonloop.http.core"
local ml = require "moonloop"
local process = require "spec.support.process"
local redirect = require "moonloop.http.redirect"
local url = require "moonloop.http.url"

local COUNT = 40000 -- of each kind

local PIECES = { "http://", "https://", "HTTP://", "http:", "https:", "//", "h", "example", "1", "127.0.0.1", "0x7f",
  "[::1]", "[::2]", "[", "]", "::", "@", ":", ":80", ":443", "/", "//", "\\", "\\\\", "/\\", "?", "#", ".", "..",
  "/./", "/../", "%2e", "%2F", "%5c", "%09", "%", " ", "a", "&", "^", "|", "\"", "<", "`", "{", "'", "ä", ";", "*",
  "08", "_", "-", "+", "$", "=", "%00", "%41", "%40", "%3a", "\t", "\1", "\127", "u:p@", "javascript:", "ftp://",
  "evil", "b=c", ".a", "..a", "...", "/.a/", "/a/..", "%2e%2E" }
local BASES = { "http://h/a/b?c", "https://h:444/", "http://u:p@h:81/x/", "http://h", "http://[::1]:8/y",
  "https://example/a//b/c" }

local function pick(list) return list[math.random(#list)] end

local function text_of(first)
  local parts = { first }
  for _ = 1, math.random(1, 8) do parts[#parts + 1] = pick(PIECES) end
  return table.concat(parts)
end

--- An absolute URL that we take: where it leads, and to whom of BASES its headers would go.
local function absolute()
  local text = text_of(PIECES[math.random(3)] .. (math.random(3) == 1 and pick(PIECES) or "h"))
  local place, host = core.place("GET", text)
  -- Hosts that are not ASCII are libidn2's.
  if not place or not text:match "^%a+://([^/?#]*)":find "^[\0-\127]*$" then return nil end
  local trusted = {}
  for _, base in ipairs(BASES) do
    if url.origin(base) == url.origin(text) then trusted[#trusted + 1] = base end
  end
  return { url = text, ours = place, host = host, trusted = trusted }
end

--- A redirect that we follow: where it leads, and whether the credentials go with it.
local function relative()
  local base, text = pick(BASES), text_of(""):match "^[ \t]*(.-)[ \t]*$" -- as in a header
  local request = { method = "GET", url = base, fields = { authorization = { "Authorization", "x" } } }
  local following = redirect.follow(request, { status = 302, url = base, headers = { location = text },
    head = "HTTP/1.1 302 X\r\nLocation: " .. text .. "\r\n\r\n" })
  if not following then return nil end
  local place, host = core.place("GET", following.url)
  if not place or not following.url:match "^%a+://([^/?#]*)":find "^[\0-\127]*$" then return nil end
  return { base = base, url = text, ours = place, host = host,
    trusted = following.fields.authorization and { base } or {} }
end

local function taken(make)
  local list = {}
  for _ = 1, COUNT do list[#list + 1] = make() end
  assert.is_true(#list > COUNT / 20, #list) -- a reader that refuses all agrees with everybody
  return list
end

local PROGRAM = [==[
  // Node.js 20 leaves "/./" in its place behind a later segment like ".a", unless there is a '%'.
  const encoded = (text) => text.replace(/^((?:\w+:)?\/\/[^\/?#]*)?([^?#]*)/, (all, origin, path) =>
    (origin ?? '') + path.replace(/(?<=\/|^)\.(?=\.?(\/|$))/g, '%2e'));
  const read = (text, base) => new URL(encoded(text), base);
  const plain = (url) => {
    const bare = new URL(encoded(url.href));
    bare.username = bare.password = bare.hash = '';
    return bare.href.replaceAll('\\', '%5C');
  };
  const host = (url) => url.hostname.replace(/[\[\]]/g, '');
  const problem = ({ base, url, ours, host: name, trusted }) => {
    let theirs;
    try { theirs = read(url, base) } catch (e) { return String(e) }
    const own = read(ours);
    if (theirs.origin !== own.origin || host(theirs) !== name.toLowerCase()) return theirs.href;
    for (const one of Object.values(trusted)) if (new URL(one).origin !== theirs.origin)
      return `${one} is not ${theirs.origin}`;
    return plain(theirs) === plain(own) ? null : theirs.href;
  };
  const list = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const wrong = list.map((one) => [one, problem(one)]).filter(([, why]) => why);
  process.stdout.write(JSON.stringify(wrong.slice(0, 5)))]==]

local function assert_agreed(list)
  local result = assert(ml.process.run { "node", "-e", PROGRAM, stdin = ml.json.encode(list), timeout = 300 })
  assert.equal("[]", result.stdout, result.stderr)
end

describe("where a URL leads", { timeout = 300 }, function()
  if not process.sh("node --version"):find "^v%d" then return pending "Node.js is not installed" end

  it("is for us what it is for browsers, and its headers go to no other origin", function()
    assert_agreed(taken(absolute))
  end)

  it("is the same for redirects, and the credentials go to no other origin", function()
    assert_agreed(taken(relative))
  end)
end)
