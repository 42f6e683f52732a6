# Files that are put into the binary compressed: the inspector's page, and the pages that show OpenAPI
# documents, which are those of scripts/setup.sh's packages, with their licences.
option(MOONLOOP_DOCS "Put Swagger UI and Redoc into the binary" ON)
set(PAGES ${CMAKE_SOURCE_DIR}/.deps/pages)
set(page_files)
if(MOONLOOP_DOCS)
  set(page_files
    docs/swagger-ui.css=${PAGES}/swagger-ui-dist/swagger-ui.css
    docs/swagger-ui-bundle.js=${PAGES}/swagger-ui-dist/swagger-ui-bundle.js
    docs/swagger-ui-bundle.js.LICENSE.txt=${PAGES}/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt
    docs/LICENSE.txt=${PAGES}/swagger-ui-dist/LICENSE
    docs/NOTICE.txt=${PAGES}/swagger-ui-dist/NOTICE
    redoc/redoc.standalone.js=${PAGES}/redoc/bundles/redoc.standalone.js
    redoc/redoc.standalone.js.LICENSE.txt=${PAGES}/redoc/bundles/redoc.standalone.js.LICENSE.txt
    redoc/LICENSE.txt=${PAGES}/redoc/LICENSE)
  if(NOT EXISTS ${PAGES}/versions)
    message(FATAL_ERROR "The pages for OpenAPI documents are not in .deps/pages: run scripts/setup.sh once, "
      "which downloads them, or leave them out with -DMOONLOOP_DOCS=OFF")
  endif()
endif()

# What `moonloop new` writes: templates of projects, and the types for editors.
file(GLOB_RECURSE project_files CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/scripts
  scripts/templates/* scripts/types/*.lua)
foreach(file ${project_files})
  list(APPEND page_files ${file}=${CMAKE_SOURCE_DIR}/scripts/${file})
endforeach()

# Its own program, since a machine that builds need not have brotli's.
add_executable(pack ${CMAKE_SOURCE_DIR}/cmake/pack.c)
set_target_properties(pack PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tools)
target_compile_options(pack PRIVATE -Wall -Wextra -Werror)
target_link_libraries(pack PRIVATE PkgConfig::BROTLI)
function(pack output table)
  set(inputs ${ARGN})
  list(TRANSFORM inputs REPLACE "^[^=]*=" "")
  add_custom_command(OUTPUT ${output} COMMAND pack ${output} ${table} ${ARGN}
    DEPENDS pack ${inputs} VERBATIM)
endfunction()

set(inspector_files)
foreach(file page.html page.css dom.js charts.js state.js loop.js tasks.js requests.js main.js)
  list(APPEND inspector_files inspect/${file}=${CMAKE_SOURCE_DIR}/scripts/moonloop/inspect/${file})
endforeach()
pack(${CMAKE_BINARY_DIR}/pages.c embedded_files ${page_files})
pack(${CMAKE_BINARY_DIR}/inspector_page.c embedded_inspector ${inspector_files})
set(PAGES_SOURCE ${CMAKE_BINARY_DIR}/pages.c ${CMAKE_BINARY_DIR}/inspector_page.c)
