/* Do two recordings have the same speaker?
 *
 *   verify MODEL A.wav B.wav
 *
 * It gives samples in memory to the library. verify.cpp gives it files. Both print the same. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "revox.h"
#include "wav.h"

/* Says what went wrong, and ends the program. */
static void check(RevoxStatus status, const char *what) {
  if (status == REVOX_STATUS_OK) return;
  fprintf(stderr, "%s: %s (status %d)\n", what, revox_last_error(), (int)status);
  exit(1);
}

static float *embed(const RevoxModel *model, const char *path, RevoxQuality *quality) {
  size_t count = 0, dim = revox_dim(model);
  uint32_t rate = 0;
  int16_t *samples = read_wav(path, &count, &rate);
  float *embedding = malloc(dim * sizeof *embedding);
  if (samples == NULL || embedding == NULL) {
    fprintf(stderr, "%s: no WAV file of one channel and 16 bits\n", path);
    exit(1);
  }
  check(revox_embed_int16(model, samples, count, rate, embedding, dim, quality), path);
  free(samples);
  if (quality->warnings[0] != '\0') fprintf(stderr, "%s: %s\n", path, quality->warnings);
  return embedding;
}

int main(int count, char **names) {
  if (count != 4) {
    fprintf(stderr, "usage: %s MODEL A.wav B.wav\n", names[0]);
    return 2;
  }
  RevoxModel *model = NULL;
  check(revox_open(names[1], &model), "cannot open the model");

  RevoxQuality qualities[2];
  float *first = embed(model, names[2], &qualities[0]);
  float *second = embed(model, names[3], &qualities[1]);
  size_t dim = revox_dim(model);

  RevoxVerdict verdict;
  check(revox_compare(model, first, &qualities[0], second, &qualities[1], dim, &verdict),
        "cannot compare");
  printf("score %.9f\n", verdict.score);
  if (!isnan(verdict.probability)) printf("probability %.9f\n", verdict.probability);
  printf("same %d\n", (int)verdict.same);

  /* Where wrong acceptances are expensive: one in a hundred. */
  bool same = false;
  RevoxStatus status = revox_decide(model, verdict.score, 0.01, &same);
  if (status != REVOX_STATUS_ABSENT) {
    check(status, "cannot decide");
    printf("same at 1 %% false accepts %d\n", same);
  }

  free(first);
  free(second);
  check(revox_free(model), "cannot free");
  /* A freed model is an error, not a crash. */
  return revox_free(model) == REVOX_STATUS_HANDLE ? 0 : 1;
}
