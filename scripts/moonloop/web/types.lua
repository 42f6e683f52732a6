--- Media types by file extension. Text is UTF-8.
local GROUPS = {
  ["text/html"] = "html htm",
  ["text/css"] = "css",
  ["text/javascript"] = "js mjs",
  ["text/plain"] = "txt text log conf ini lua c h",
  ["text/markdown"] = "md markdown",
  ["text/csv"] = "csv",
  ["text/calendar"] = "ics",
  ["text/vtt"] = "vtt",
  ["application/json"] = "json map",
  ["application/ld+json"] = "jsonld",
  ["application/geo+json"] = "geojson",
  ["application/manifest+json"] = "webmanifest",
  ["application/xml"] = "xml xsl",
  ["application/atom+xml"] = "atom",
  ["application/rss+xml"] = "rss",
  ["application/xhtml+xml"] = "xhtml",
  ["application/wasm"] = "wasm",
  ["application/pdf"] = "pdf",
  ["application/rtf"] = "rtf",
  ["application/epub+zip"] = "epub",
  ["application/zip"] = "zip",
  ["application/gzip"] = "gz tgz",
  ["application/x-bzip2"] = "bz2",
  ["application/x-xz"] = "xz",
  ["application/zstd"] = "zst",
  ["application/x-tar"] = "tar",
  ["application/x-7z-compressed"] = "7z",
  ["application/java-archive"] = "jar",
  ["application/msword"] = "doc",
  ["application/vnd.ms-excel"] = "xls",
  ["application/vnd.ms-powerpoint"] = "ppt",
  ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"] = "docx",
  ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"] = "xlsx",
  ["application/vnd.openxmlformats-officedocument.presentationml.presentation"] = "pptx",
  ["application/vnd.oasis.opendocument.text"] = "odt",
  ["application/vnd.oasis.opendocument.spreadsheet"] = "ods",
  ["application/vnd.oasis.opendocument.presentation"] = "odp",
  ["image/png"] = "png",
  ["image/apng"] = "apng",
  ["image/jpeg"] = "jpg jpeg",
  ["image/gif"] = "gif",
  ["image/webp"] = "webp",
  ["image/avif"] = "avif",
  ["image/svg+xml"] = "svg",
  ["image/bmp"] = "bmp",
  ["image/tiff"] = "tif tiff",
  ["image/vnd.microsoft.icon"] = "ico",
  ["audio/mpeg"] = "mp3",
  ["audio/mp4"] = "m4a",
  ["audio/aac"] = "aac",
  ["audio/flac"] = "flac",
  ["audio/wav"] = "wav",
  ["audio/ogg"] = "ogg oga opus",
  ["audio/webm"] = "weba",
  ["video/mp4"] = "mp4 m4v",
  ["video/webm"] = "webm",
  ["video/ogg"] = "ogv",
  ["video/quicktime"] = "mov",
  ["video/x-msvideo"] = "avi",
  ["video/x-matroska"] = "mkv",
  ["font/woff"] = "woff",
  ["font/woff2"] = "woff2",
  ["font/ttf"] = "ttf",
  ["font/otf"] = "otf",
}

local types = {}
for type, extensions in pairs(GROUPS) do
  local sent = type:find("^text/") and type .. "; charset=utf-8" or type
  for extension in extensions:gmatch("%S+") do types[extension] = sent end
end

local M = {}

--- The Content-Type for a file called `path`; application/octet-stream for an unknown extension.
function M.of(path)
  local extension = path:match("%.([^./]+)$")
  return extension and types[extension:lower()] or "application/octet-stream"
end

return M
