--- A token (RFC 9110 section 5.6.2) as a pattern: names of headers, cookies and methods.
return "^[%w!#$%%&'*+.^_`|~-]+$"
