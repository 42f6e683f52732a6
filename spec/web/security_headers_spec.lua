-- ml.web.security_headers.
local ml = require "moonloop"
local web = ml.web

--- The headers of a response to a request over `scheme`.
local function headers_of(opts, scheme, own)
  local app = web.app { trusted_proxies = "127.0.0.1" }
  app:use(web.security_headers(opts))
  app:get("/", function(req) return web.response { body = req.csp_nonce or "", headers = own } end)
  local c <close> = web.test(app)
  local res = c:get("/", { headers = { ["X-Forwarded-Proto"] = scheme } })
  return res.headers, res.body
end

describe("security_headers", function()
  it("has defaults that harm no site", function()
    local headers = headers_of(nil, "https")
    assert.equal("nosniff", headers["x-content-type-options"])
    assert.equal("DENY", headers["x-frame-options"])
    assert.equal("strict-origin-when-cross-origin", headers["referrer-policy"])
    assert.equal("max-age=31536000", headers["strict-transport-security"])
    assert.is_nil(headers["content-security-policy"])
  end)

  it("sends Strict-Transport-Security over https alone", function()
    assert.is_nil(headers_of(nil, "http")["strict-transport-security"])
    assert.equal("max-age=63072000; includeSubDomains; preload", headers_of({ hsts = { max_age = 63072000,
      subdomains = true, preload = true } }, "https")["strict-transport-security"])
  end)

  it("leaves out what is false, and what a handler has set", function()
    local headers = headers_of({ hsts = false, nosniff = false, frame_options = false, referrer_policy = false },
      "https")
    for _, name in ipairs { "x-content-type-options", "x-frame-options", "referrer-policy",
        "strict-transport-security" } do
      assert.is_nil(headers[name])
    end
    assert.equal("SAMEORIGIN", headers_of(nil, "http", { ["x-frame-options"] = "SAMEORIGIN" })["x-frame-options"])
  end)

  it("is there for errors and for requests without a route", function()
    local app = web.app()
    app:use(web.security_headers())
    app:get("/abort", function() web.abort(403) end)
    local c <close> = web.test(app)
    for path, status in pairs { ["/abort"] = 403, ["/none"] = 404 } do
      local res = c:get(path)
      assert.equal(status, res.status)
      assert.equal("nosniff", res.headers["x-content-type-options"])
    end
  end)

  it("takes a policy as a text or as a table", function()
    assert.equal("default-src 'self'", headers_of({ csp = "default-src 'self'" })["content-security-policy"])
    assert.equal("default-src 'self'; img-src 'self' data:; upgrade-insecure-requests", headers_of { csp = {
      default_src = "'self'", ["img-src"] = { "'self'", "data:" }, upgrade_insecure_requests = true,
    } }["content-security-policy"])
    local headers = headers_of { csp = "default-src 'self'", csp_report_only = true }
    assert.equal("default-src 'self'", headers["content-security-policy-report-only"])
    assert.is_nil(headers["content-security-policy"])
  end)

  it("has a nonce of its own for each request, also where a handler returns the same object", function()
    local app, page = web.app(), web.response { body = "page" }
    app:use(web.security_headers { csp = { script_src = { "'self'", "'nonce'" } } })
    local nonces = {}
    app:get("/", function(req)
      nonces[#nonces + 1] = req.csp_nonce
      return page
    end)
    local c <close> = web.test(app)
    for i = 1, 2 do
      local policy = c:get("/").headers["content-security-policy"]
      assert.equal(("script-src 'self' 'nonce-%s'"):format(nonces[i]), policy)
      assert.matches("^[%w_-]+$", nonces[i])
      assert.equal(22, #nonces[i])
    end
    assert.not_equal(nonces[1], nonces[2])
  end)

  it("refuses what is wrong", function()
    for message, opts in pairs {
      ["frame_options"] = { frame_options = "ALLOW" }, ["referrer_policy"] = { referrer_policy = "none" },
      ["max_age"] = { hsts = { max_age = -1 } }, ["preload"] = { hsts = { preload = true } },
      ["age"] = { hsts = { age = 1 } }, ["csp"] = { csp = "a\nb" }, ["no directive"] = { csp = { "x" } },
      ["sources of"] = { csp = { img_src = "a; b" } }, ["hts"] = { hts = true },
    } do
      assert.error_matches(function() web.security_headers(opts) end, message)
    end
  end)
end)
