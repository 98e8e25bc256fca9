/* The smallest reader of WAV files that will do: one channel of 16 bits. revox reads many more
 * (`revox_embed_file`); programs that have samples in memory already, from a microphone or a call,
 * give those. */
#ifndef WAV_H
#define WAV_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t little(const unsigned char *bytes, int count) {
  uint32_t value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

/* The samples of a file, for `free`, or null. */
static int16_t *read_wav(const char *path, size_t *count, uint32_t *rate) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  unsigned char head[16];
  int16_t *samples = NULL;
  *rate = 0;
  if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) {
    fclose(file);
    return NULL;
  }
  while (samples == NULL && fread(head, 1, 8, file) == 8) {
    uint32_t bytes = little(head + 4, 4);
    if (!memcmp(head, "fmt ", 4) && bytes >= 16 && fread(head, 1, 16, file) == 16) {
      /* PCM, one channel, 16 bits. */
      if (little(head, 2) != 1 || little(head + 2, 2) != 1 || little(head + 14, 2) != 16) break;
      *rate = little(head + 4, 4);
      bytes -= 16;
    } else if (!memcmp(head, "data", 4) && *rate != 0 && bytes < 1u << 30) {
      unsigned char *data = malloc(bytes + 1);
      samples = malloc(bytes + 1);
      if (data != NULL && samples != NULL && fread(data, 1, bytes, file) == bytes) {
        *count = bytes / 2;
        for (size_t i = 0; i < *count; i++) samples[i] = (int16_t)little(data + 2 * i, 2);
      } else {
        free(samples);
        samples = NULL;
      }
      free(data);
      break;
    }
    if (fseek(file, (long)(bytes + bytes % 2), SEEK_CUR) != 0) break;
  }
  fclose(file);
  return samples;
}

#endif
