/* What a page of the inspector asks a process, worked out in steps that hold up nobody. Each answer
   is a JSON object on a line, and each question one of these:

   - `qs ROOM HELD DONE MOST`: what is going on, with groups in about ROOM bytes; of what has held
     up the loop, the reports after the number HELD; of requests that are over, at most MOST of
     those after the number DONE. The answer begins with "held_over", the number up to which no
     report is of interest again, and "done_over", the same for requests.
   - `qg KEY AFTER`: a hundred tasks of a group, the oldest first, after the task of that id.
   - `qt ID`: a task, where it is, and its ancestors.
   - `qr NUMBER`: what a request, which is over, waited for.
   - `qc ID`: cancels a task: {"cancelled": true}, or false if it is not there any more.

   An unknown question is answered with {}. */
#ifndef ML_SURVEY_H
#define ML_SURVEY_H

#include "base/buffer.h"
#include "inspect/insight.h"

typedef struct Survey Survey;

/* Begins with a question; NULL if memory is out. */
Survey *survey_new(Insight *insight, const char *question);

/* Looks at up to `tasks` tasks more. True: the answer is whole. */
bool survey_step(Survey *survey, unsigned tasks);

/* The answer, once it is whole. */
const Buffer *survey_answer(const Survey *survey);

void survey_free(Survey *survey);

#endif
