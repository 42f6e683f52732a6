--- Programs in ELF (64 bits, little-endian): a section is added behind all others, and what another has is
-- replaced. Nothing that the program has is moved, so that it runs as before, and `strip` keeps the section.
local M = {}

local IDENT = "\127ELF\2\1" -- 64 bits, little-endian
local SECTION = "<I4I4I8I8I8I8I4I4I8I8" -- name, type, flags, address, offset, size, link, info, alignment, entry size
local SECTION_SIZE = 64
local PROGBITS = 1
local PAGE = 4096 -- the host maps the section

-- Offsets in the header, from 1.
local TABLE_AT, SIZE_AT = 0x28 + 1, 0x3A + 1
local HEADER_SIZE = 64
local MOST = 0xFEFF -- sections, in a header

-- Are all of these bytes there? What is too large for Lua's integers is negative here.
local function is_within(program, at, size) return at >= 0 and size >= 0 and at <= #program - size end

local function read_section(program, table_at, i)
  local s = {}
  s.name, s.type, s.flags, s.address, s.offset, s.size, s.link, s.info, s.alignment, s.entry = SECTION:unpack(program,
    table_at + i * SECTION_SIZE + 1)
  return s
end

--- All sections, with the names' as `names` | nil, what is wrong with the program
local function read_sections(program)
  if program:sub(1, #IDENT) ~= IDENT or #program < HEADER_SIZE then
    return nil, "it is no program of ELF with 64 bits"
  end
  local table_at = ("<I8"):unpack(program, TABLE_AT)
  local size, count, names = ("<I2I2I2"):unpack(program, SIZE_AT)
  if table_at == 0 or count == 0 or size ~= SECTION_SIZE then return nil, "it has no table of sections" end
  if not is_within(program, table_at, count * SECTION_SIZE) then return nil, "its table of sections is cut off" end
  if names == 0 or names >= count then return nil, "its sections have no names" end
  local sections = {}
  for i = 0, count - 1 do sections[i + 1] = read_section(program, table_at, i) end
  sections.names = sections[names + 1]
  if not is_within(program, sections.names.offset, sections.names.size) then
    return nil, "the names of its sections are cut off"
  end
  return sections
end

local function texts_of(program, names) return program:sub(names.offset + 1, names.offset + names.size) end

local function pack(s)
  return SECTION:pack(s.name, s.type, s.flags, s.address, s.offset, s.size, s.link, s.info, s.alignment, s.entry)
end

--- find(program, name) -> offset (from 0), size | nil
function M.find(program, name)
  local sections = read_sections(program)
  if not sections then return nil end
  local texts, wanted = texts_of(program, sections.names), name .. "\0"
  for i = #sections, 2, -1 do -- what was added is the last one; the first one is none
    local s = sections[i]
    if texts:sub(s.name + 1, s.name + #wanted) == wanted and is_within(program, s.offset, s.size) then
      return s.offset, s.size
    end
  end
end

--- add(program, name, content) -> program with the section | nil, what is wrong with it
function M.add(program, name, content)
  local sections, wrong = read_sections(program)
  if not sections then return nil, wrong end
  if #sections == MOST then return nil, "it has as many sections as there can be" end
  local names = sections.names
  local texts = texts_of(program, names)
  local parts, at = { program }, #program
  local function append(text, alignment)
    local gap = ("\0"):rep(-at % alignment)
    parts[#parts + 1] = gap .. text
    local place = at + #gap
    at = place + #text
    return place
  end
  local place = append(content, PAGE)
  sections[#sections + 1] = { name = #texts, type = PROGBITS, flags = 0, address = 0, offset = place, size = #content,
    link = 0, info = 0, alignment = PAGE, entry = 0 }
  texts = texts .. name .. "\0"
  names.offset, names.size = append(texts, 1), #texts
  local packed = {}
  for i, s in ipairs(sections) do packed[i] = pack(s) end
  local table_at = append(table.concat(packed), 8)
  local whole = table.concat(parts)
  whole = M.put(whole, TABLE_AT - 1, ("<I8"):pack(table_at))
  return M.put(whole, SIZE_AT - 1, ("<I2I2"):pack(SECTION_SIZE, #sections))
end

--- put(program, offset, bytes) -> program with these bytes at the offset
function M.put(program, offset, bytes) return program:sub(1, offset) .. bytes .. program:sub(offset + #bytes + 1) end

return M
