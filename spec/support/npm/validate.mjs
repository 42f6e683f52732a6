// validate.mjs FILE...: checks OpenAPI documents with two validators. Prints a line for each that is refused.
import fs from "node:fs";
import SwaggerParser from "@apidevtools/swagger-parser";
import { Validator } from "@seriousme/openapi-schema-validator";

const validator = new Validator();
for (const file of process.argv.slice(2)) {
  const document = JSON.parse(fs.readFileSync(file));
  const result = await validator.validate(structuredClone(document));
  if (!result.valid) console.log(`${file}: @seriousme: ${JSON.stringify(result.errors).slice(0, 500)}`);
  try {
    await SwaggerParser.validate(document);
  } catch (error) {
    console.log(`${file}: swagger-parser: ${String(error).slice(0, 500)}`);
  }
}
console.log("done");
