--- What sslscan finds at a server with TLS.
local ml = require "moonloop"
local tls = require "spec.support.tls"
local web = require "moonloop.web"
local serving = require("spec.support.web").serving

local LIMIT <const> = 300 -- seconds that it may take

describe("sslscan", function()
  if not tls.is_there() or not os.execute "command -v sslscan >/dev/null" then
    return pending "needs openssl and sslscan: scripts/setup.sh --dev"
  end

  it("finds TLS 1.2 and 1.3 with ciphers that keep secrets, and nothing that is known to be weak", function()
    local made <close> = tls.certificates { one = {} }
    serving(web.app(), function(port)
      local program = { "sslscan", "--no-colour", "127.0.0.1:" .. port, timeout = LIMIT }
      local text = assert(ml.process.run(program)).stdout
      for _, old in ipairs { "SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1" } do
        assert.matches("\n" .. old:gsub("%.", "%%.") .. " +disabled\n", text)
      end
      assert.matches("\nTLSv1%.2 +enabled\n", text)
      assert.matches("\nTLSv1%.3 +enabled\n", text)
      assert.matches("renegotiation not supported", text, 1, true)
      assert.not_matches("Compression enabled", text, 1, true)
      for version in text:gmatch "(TLSv1%.%d) [^\n]*heartbleed" do
        assert.matches(version .. " not vulnerable to heartbleed", text, 1, true)
      end
      local ciphers = 0
      for version, bits, cipher in text:gmatch "\n%a+ +(TLSv1%.%d) +(%d+) bits +(%S+)" do
        ciphers = ciphers + 1
        assert.is_true(tonumber(bits) >= 128)
        assert.matches(version == "TLSv1.3" and "^TLS_" or "^ECDHE%-ECDSA%-", cipher)
        assert.is_true(cipher:find "GCM" ~= nil or cipher:find "POLY1305" ~= nil, cipher)
      end
      assert.is_true(ciphers >= 6, text)
    end, { tls = made.one })
  end)
end)
