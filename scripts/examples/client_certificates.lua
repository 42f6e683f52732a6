-- An API over HTTPS for clients that have a certificate of our authority:
--
--   cd /tmp && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority
--   for name in localhost ann; do
--     openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
--     openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt
--   done
--   CERTIFICATES=/tmp moonloop serve client_certificates.lua
--   curl --cacert ca.crt --cert ann.crt --key ann.key https://localhost:8000/
local ml = require "moonloop"

local folder = os.getenv "CERTIFICATES" or "."

-- Who is not in this list has a certificate, but nothing to do here.
local users = { ann = { reads = true, writes = true }, ben = { reads = true } }
local notes = {}

local app = ml.web.app {
  tls = {
    cert = folder .. "/localhost.crt",
    key = folder .. "/localhost.key",
    ca = folder .. "/ca.crt",
    verify = "required", -- the handshake fails without a certificate that the authority has signed
  },
}

app:use(function(req, next)
  req.name = req.tls.peer.subject:match "CN=([^,]+)"
  req.may = users[req.name] or ml.web.abort(403, ("%s has nothing to do here"):format(req.name))
  return next(req)
end)

app:get("/", function(req)
  return { name = req.name, valid_until = ml.time.format(req.tls.peer.not_after), notes = #notes }
end)

app:post("/notes", function(req)
  if not req.may.writes then ml.web.abort(403, req.name .. " may only read") end
  notes[#notes + 1] = { by = req.name, text = req.body }
  return { id = #notes }, 201
end)

return app
