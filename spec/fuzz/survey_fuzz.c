/* Asks a process what the pages of the inspector ask, by any text: each question ends in an answer
   that is an object of JSON on a line. */
#include "fuzz.h"
#include "inspect/survey.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Runtime *rt;
  static Insight *insight;
  if (!rt) {
    rt = runtime_new(NULL);
    check(rt);
    insight = insight_new(rt);
    check(insight);
  }
  char *question = malloc(size + 1);
  check(question);
  if (size) memcpy(question, data, size);
  question[size] = 0;
  Survey *survey = survey_new(insight, question);
  check(survey);
  unsigned steps = 0;
  while (!survey_step(survey, 1)) check(++steps < 1000);
  const Buffer *answer = survey_answer(survey);
  check(answer->len > 1 && answer->data[answer->len - 1] == '\n');
  check(memchr(answer->data, '\n', answer->len) == answer->data + answer->len - 1);
  JsonError error;
  int top = lua_gettop(rt->L);
  check(json_decode(rt->L, answer->data, answer->len - 1, &error) && lua_istable(rt->L, -1));
  lua_settop(rt->L, top);
  survey_free(survey);
  free(question);
  return 0;
}
