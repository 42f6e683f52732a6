--- The list of what is in the program (SBOM), as CycloneDX 1.5: sbom.lua BUILD_FOLDER. The libraries are those of
-- its command that linked it, with their Debian packages; and those that are loaded when they are needed.
local libraries = require "moonloop.build.libraries"
local ml = require "moonloop"

local build = assert(arg[1], "usage: sbom.lua BUILD_FOLDER")
local source = arg[0]:match "^(.*)scripts/package/[^/]*$" or "./"
local crypto = require "moonloop.crypto"

local function read(path) return assert(ml.fs.read(path)) end

local function output(...)
  local result = ml.process.run { ... }
  return result and result.ok and result.stdout or nil
end

local version = read(source .. "CMakeLists.txt"):match "\nproject%(moonloop VERSION ([%d.]+)"

--- The Debian package of a file, and its version.
local function package_of(path)
  local found
  for _, name in ipairs { path, (path:gsub("^/usr", "")), "/usr" .. path } do
    found = found or output("dpkg-query", "-S", name)
  end
  local package = assert(found, "no package has " .. path):match "^([^:%s]+)"
  local fields = assert(output("dpkg-query", "-W", "-f", "${Version} ${Architecture} ${source:Package}\n", package))
  local number, architecture, origin = fields:match "^(%S+) (%S+) (%S+)"
  return { name = package, version = number, architecture = architecture, origin = origin }
end

local function property(name, value) return { name = "moonloop:" .. name, value = value } end

local function debian(package)
  return ("pkg:deb/debian/%s@%s?arch=%s&distro=debian-12"):format(package.name,
    (package.version:gsub("[^%w.~-]", function(c) return ("%%%02X"):format(c:byte()) end)), package.architecture)
end

local components, references = {}, {}

local function add(component)
  components[#components + 1] = component
  references[#references + 1] = component["bom-ref"]
end

--- A static library: it is inside.
local function add_archive(path)
  local package = package_of(path)
  local name = path:match "([^/]+)%.a$"
  add { type = "library", ["bom-ref"] = "static:" .. name, name = name, version = package.version, scope = "required",
    purl = debian(package), hashes = { { alg = "SHA-256", content = crypto.sha256(read(path)) } },
    properties = { property("linkage", "static"), property("debian:source", package.origin) } }
end

--- A shared library, at the version that is on this machine.
local function add_shared(file, scope, what)
  local found = output("sh", "-c", ("ldconfig -p | sed -n 's|^\t%s (.*x86-64.*) => ||p' | head -n 1"):format(file))
    or ""
  local path = found:match "[^\n]+"
  local package = path and package_of(path)
  add { type = "library", ["bom-ref"] = "shared:" .. file, name = file, version = package and package.version,
    scope = scope, purl = package and debian(package), description = what,
    properties = { property("linkage", scope == "required" and "dynamic" or "loaded when it is needed") } }
end

local line = read(build .. "/CMakeFiles/moonloop.dir/link.txt")
local seen = {}
for path in line:gmatch "%s(/%S+%.a)" do
  if not path:find("libmoonloop_internal", 1, true) and not seen[path] then
    seen[path] = true
    add_archive(path)
  end
end
local llhttp = assert(output(build .. "/moonloop", "--version")):match "llhttp ([%d.]+)"
add { type = "library", ["bom-ref"] = "static:llhttp", name = "llhttp", version = llhttp, scope = "required",
  purl = "pkg:npm/llhttp@" .. llhttp, properties = { property("linkage", "static") } }
local pages = ml.fs.read(source .. ".deps/pages/versions") or ""
if read(build .. "/CMakeCache.txt"):find "\nMOONLOOP_DOCS:%w+=ON\n" then
  for name, number in pages:gmatch "(%S+)@(%S+)" do
    add { type = "library", ["bom-ref"] = "embedded:" .. name, name = name, version = number, scope = "required",
      purl = ("pkg:npm/%s@%s"):format(name, number), properties = { property("linkage", "embedded") } }
  end
end
for _, file in ipairs(libraries.always) do add_shared(file, "required", "the C library") end
for _, library in ipairs(libraries.when_needed) do add_shared(library.file, "optional", library.what) end

table.sort(components, function(a, b) return a["bom-ref"] < b["bom-ref"] end)
table.sort(references)
local epoch = math.tointeger(tonumber(os.getenv "SOURCE_DATE_EPOCH")) or os.time()
print(ml.json.encode({
  bomFormat = "CycloneDX", specVersion = "1.5", version = 1,
  metadata = {
    timestamp = os.date("!%Y-%m-%dT%H:%M:%SZ", epoch),
    component = { type = "application", ["bom-ref"] = "moonloop", name = "moonloop", version = version,
      licenses = { { license = { id = "MIT" } } } },
  },
  components = components,
  dependencies = { { ref = "moonloop", dependsOn = references } },
}, { pretty = true }))
