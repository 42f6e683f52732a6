--- media_type(content_type) -> the media type in the value of a Content-Type header, in lower case, without its
-- parameters (RFC 9110 8.3.1).
local trim = require "moonloop.core.trim"

return function(content_type) return trim(content_type:match "^[^;]*"):lower() end
