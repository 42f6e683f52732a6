-- A page with a form: files are saved while they arrive, and a cookie that cannot be forged counts the
-- files that a browser has sent. Run it with
--   moonloop serve scripts/examples/upload.lua
-- and open http://127.0.0.1:8000/, or: curl -F note=hi -F files=@README.md http://127.0.0.1:8000/
local ml = require "moonloop"

local folder = os.getenv("UPLOADS") or os.getenv("TMPDIR") or "/tmp"
-- A secret of your own keeps the cookies valid after a restart.
local signer = ml.web.signer(os.getenv("SECRET") or ml.web.token(), { max_age = 7 * 24 * 3600 })
local cookie = { max_age = 7 * 24 * 3600 } -- add secure = true if the site has TLS

local PAGE = [[
<!doctype html><meta charset="utf-8"><title>Upload</title>
<p>You have sent %d files.</p>
<form method="post" enctype="multipart/form-data">
  <input name="note" placeholder="a note"> <input type="file" name="files" multiple> <button>Send</button>
</form>
]]

-- How many files this browser has sent: 0 without a cookie, or with one that does not verify.
local function count_of(req) return tonumber((req:signed_cookie("count", signer))) or 0 end

local app = ml.web.app()

app:get("/", function(req)
  return ml.web.response { body = PAGE:format(count_of(req)), headers = { ["Content-Type"] = "text/html" } }
end)

app:post("/", { max_body = 1024 * 1024 * 1024 }, function(req)
  local count, note = count_of(req), ""
  for part in req:parts() do
    if part.name == "note" then
      note = part:read(1000)
    elseif part.filename and part.filename ~= "" then
      -- The file name comes from the client: never use it as a path to write to.
      local path = folder .. "/upload-" .. ml.web.token(16)
      local size = assert(part:save(path))
      print(("%q: %d bytes in %s, %q"):format(part.filename, size, path, note))
      count = count + 1
    end
  end
  return ml.web.redirect("/", 303):set_signed_cookie("count", tostring(count), signer, cookie)
end)

return app
