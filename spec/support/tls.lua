--- Certificates made with openssl, and its clients and servers, for the specs of TLS.
local folders = require "spec.support.folder"
local ml = require "moonloop"
local process = require "spec.support.process"

local M = {}

local LIMIT = 120 -- seconds that a program may take

--- Is openssl there?
function M.is_there() return (os.execute "command -v openssl >/dev/null") end

local KEY = "openssl ecparam -genkey -name prime256v1 -noout -out %s.key"
local SELF = "openssl req -x509 -new -key %s.key -out %s.crt -days 30 -subj '/CN=%s' -addext 'subjectAltName=%s'"
local REQUEST = "openssl req -new -key %s.key -out %s.csr -subj '/CN=%s'"
local SIGN = "openssl x509 -req -in %s.csr -out %s.crt -CA %s.crt -CAkey %s.key -set_serial %d -extfile %s.ext %s"
local CA = "openssl req -x509 -new -key %s.key -out %s.crt -days 30 -subj '/CN=%s' "
  .. "-addext 'basicConstraints=critical,CA:TRUE'"

--- Makes certificates in a new folder, for a variable `<close>`. There is an authority, "ca.crt";
-- `list` is name to a table of `names` ("DNS:localhost"), and `days` ("-days 30" is the default, a
-- negative number for one that has expired), `signer` (the name of another authority in the list, or
-- "self"), or `authority = true`. `folder.NAME` is a table {cert = path, key = path}.
function M.certificates(list)
  local folder = folders.new {}
  local commands, serial = { "exec 2>/dev/null", "cd " .. process.quote(folder.path), KEY:format "ca",
    CA:format("ca", "ca", "Spec CA") }, 100
  local function add(name, opts)
    local names = table.concat(opts.names or { "DNS:localhost", "IP:127.0.0.1" }, ",")
    serial = serial + 1
    table.insert(commands, KEY:format(name))
    if opts.signer == "self" then
      table.insert(commands, SELF:format(name, name, name, names))
      return
    end
    folders.write(("%s/%s.ext"):format(folder.path, name), opts.authority and "basicConstraints=critical,CA:TRUE\n"
      or ("subjectAltName=%s\n"):format(names))
    table.insert(commands, REQUEST:format(name, name, name))
    local signer = opts.signer or "ca"
    table.insert(commands, SIGN:format(name, name, signer, signer, serial, name, "-days " .. (opts.days or 30)))
  end
  for name, opts in pairs(list) do if opts.authority then add(name, opts) end end
  for name, opts in pairs(list) do if not opts.authority then add(name, opts) end end
  assert(os.execute(table.concat(commands, "\n") .. "\n"), "openssl has failed")
  folder.ca = folder.path .. "/ca.crt"
  for name in pairs(list) do
    folder[name] = { cert = ("%s/%s.crt"):format(folder.path, name), key = ("%s/%s.key"):format(folder.path, name) }
  end
  return folder
end

--- Runs `openssl s_client` with these further arguments against a port of this machine, beside the other
-- tasks; it writes `input` and ends with the connection. Gives all that it printed.
function M.client(port, input, ...)
  local program = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-ign_eof", ... }
  program.stdin, program.stderr, program.timeout = input, "stdout", LIMIT
  return assert(ml.process.run(program)).stdout
end

--- The same for one GET, without further requests.
function M.get(port, target, ...)
  return M.client(port, ("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"):format(target), ...)
end

return M
