# validate.py FILE...: checks OpenAPI documents with openapi-spec-validator. Prints a line for each that is
# refused.
import json
import sys

from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

for name in sys.argv[1:]:
    with open(name) as file:
        document = json.load(file)
    validator = OpenAPIV30SpecValidator if document["openapi"].startswith("3.0") else OpenAPIV31SpecValidator
    for error in validator(document).iter_errors():
        print(f"{name}: {list(error.path)}: {error.message[:300]}")
        break
print("done")
