// schemas.mjs FILE: each line of the file is {schema, texts, fits}; prints a line for each text that Ajv does
// not judge as `fits` says.
import fs from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const lines = fs.readFileSync(process.argv[2], "utf8").trimEnd().split("\n");
let fitting = 0, failing = 0;
lines.forEach((line, round) => {
  const { schema, texts, fits } = JSON.parse(line);
  const ajv = new Ajv.default({ strict: false, logger: false });
  addFormats.default(ajv);
  const validate = ajv.compile(schema);
  texts.forEach((text, i) => {
    const valid = validate(JSON.parse(text));
    if (valid) fitting++; else failing++;
    if (valid !== fits[i]) {
      console.log(`round ${round + 1}: ${text}: ajv says ${valid} (${ajv.errorsText(validate.errors)}): ` +
        JSON.stringify(schema));
    }
  });
});
console.log(`done: ${fitting} ${failing}`);
