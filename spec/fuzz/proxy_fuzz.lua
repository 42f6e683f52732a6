-- The environment's proxies: a URL of a proxy, a list no_proxy and a host, each a line. What is read has a host and a
-- port, and credentials that add no line to a head; a host that the list names goes without.
local http = require "moonloop.http.core"
local proxy = require "moonloop.http.proxy"

return function(text)
  local url, except, host = text:match "^([^\n]+)\n?([^\n]*)\n?([^\n]*)"
  if not url then return end
  local proxies = proxy.of(url)
  local parsed = proxies.parsed.http
  if parsed.wrong then
    local password = url:match "^[^/]*//[^/?#:@]*:([^/?#@%%]+)@"
    assert(not password or #password < 6 or not parsed.wrong:find(password .. "@", 1, true), parsed.wrong)
  else
    assert(#parsed.host > 0 and #parsed.host < 256 and not parsed.host:find "[%c /@]")
    assert(math.type(parsed.port) == "integer" and parsed.port > 0 and parsed.port < 65536)
    assert(not parsed.credentials or parsed.credentials:find "^Basic [%w+/]*=*$")
  end
  local target = "http://" .. host .. "/"
  local is_good, name = http.place("", target)
  proxies.except = except
  local chosen = proxy.choose(proxies, target)
  assert(chosen == nil or chosen == parsed)
  if not is_good or name:find "^%." or name:find "%%" then return end -- no host, and an address with a zone
  for _, entry in ipairs { "*", name } do
    proxies.except = except .. "," .. entry
    assert(proxy.choose(proxies, target) == nil, entry)
  end
end
