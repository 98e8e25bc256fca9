/*
 * revox: whose voice is it? Embeddings of voices, scores and decisions.
 *
 * cbindgen makes this file of bindings/c/src. `cargo test` says when it is out of date, and writes
 * it anew with REVOX_WRITE_HEADER=1 in its environment.
 *
 * Memory. The library allocates models, which `revox_free` frees, and nothing else that outlives a
 * call. All results go to memory of the caller. A failed call leaves it as it was. Texts that are
 * returned (`const char *`) belong to the library.
 *
 * Errors. Calls return a `RevoxStatus`. `revox_last_error` has the words of the calling thread's
 * last error. No exception, panic or longjmp leaves the library. Pointers must be null or point to
 * as many values as the call says, aligned for their type. Null is an error, unless it is allowed.
 *
 * Threads. Every call may be made from any thread at any time. Any number of threads may use one
 * model at once. It may be freed meanwhile: calls that have begun end as usual. Threads do not live
 * on in a child of `fork`: there, no call may embed if one has in the parent. Let the children of a
 * server be the first to embed.
 *
 * After `revox_free`. A `RevoxModel *` is a number that the library looks up, never an address, and
 * no number is given twice. A call with a model that was freed returns `REVOX_STATUS_HANDLE`, in
 * release builds as in debug builds. Texts of a model (`revox_name`, `revox_hash`) end with it.
 */


#ifndef REVOX_H
#define REVOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * In the place of a false-accept rate: where it equals the rate of false rejections.
 */
#define REVOX_EQUAL_ERROR -1.0

/**
 * In the place of a prior: the one that the model was calibrated for, or 0.5.
 */
#define REVOX_OWN_PRIOR -1.0

/**
 * The channel of files that have only one, for `revox_embed_file`.
 */
#define REVOX_ONLY_CHANNEL -1

/**
 * Bytes of the text of warnings, with the zero that ends it.
 */
#define REVOX_WARNINGS 1024

/**
 * How a call ended.
 */
enum RevoxStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * It did what it should.
   */
  REVOX_STATUS_OK = 0,
  /**
   * An argument is impossible: a null pointer, a buffer of another length than the model's
   * embeddings, a prior outside of 0 to 1.
   */
  REVOX_STATUS_ARGUMENT = 1,
  /**
   * The model was freed, or never was one.
   */
  REVOX_STATUS_HANDLE = 2,
  /**
   * The operating system refused a file.
   */
  REVOX_STATUS_FILE = 3,
  /**
   * Not a model that this library reads: another kind of file, a truncated or damaged one, one
   * of a later version.
   */
  REVOX_STATUS_MODEL = 4,
  /**
   * A recording that cannot be heard: empty, too short, with samples that are not finite, at a
   * rate that no audio has, of a format that is not read, of several channels.
   */
  REVOX_STATUS_AUDIO = 5,
  /**
   * The model does not store it (a threshold at this rate, a calibration), or the library was
   * built without it (the shipped model).
   */
  REVOX_STATUS_ABSENT = 6,
  /**
   * There is no result: nobody speaks, or an embedding has no direction.
   */
  REVOX_STATUS_UNDEFINED = 7,
  /**
   * A bug of the library. Please report the text.
   */
  REVOX_STATUS_BUG = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum RevoxStatus RevoxStatus;
#else
typedef int32_t RevoxStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A model. It is a number that the library looks up, not an address.
 */
typedef struct RevoxModel RevoxModel;

/**
 * What a recording offers to those who compare voices.
 */
typedef struct RevoxQuality {
  /**
   * Its length, s.
   */
  double seconds;
  /**
   * Seconds of speech in it.
   */
  double speech_seconds;
  /**
   * Root mean square of its samples, full scale = 1.
   */
  double rms;
  /**
   * Share of its samples that are clipped, 0 to 1.
   */
  double clipped;
  /**
   * The highest frequency that is heard in it, Hz.
   */
  double bandwidth;
  /**
   * Frames that the network takes of it.
   */
  uint64_t frames;
  /**
   * 1 if its samples do not change, else 0.
   */
  int32_t silent;
  /**
   * What makes its scores less reliable: UTF-8, a line for each warning, and empty if there is
   * none. What does not fit is left out, by whole lines.
   */
  char warnings[REVOX_WARNINGS];
} RevoxQuality;

/**
 * What a model says of two recordings. A value that it does not have is NaN.
 */
typedef struct RevoxVerdict {
  /**
   * The cosine of the embeddings, less the model's mean if it has one.
   */
  double score;
  /**
   * The log-likelihood ratio, natural logarithm, if the model is calibrated.
   */
  double llr;
  /**
   * The probability of one speaker at the calibration's prior, if the model is calibrated.
   */
  double probability;
  /**
   * The score from which on it is the same speaker, if the model is not calibrated and has a
   * threshold at its equal error rate.
   */
  double threshold;
  /**
   * 1 if it is the same speaker, 0 if not, -1 if the model has nothing to decide by.
   */
  int32_t same;
} RevoxVerdict;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The cosine of two embeddings, -1 to 1, less the model's mean if it has one. `length` must be
 * `revox_dim`.
 */
RevoxStatus revox_score(const struct RevoxModel *model,
                        const float *first,
                        const float *second,
                        size_t length,
                        double *score);

/**
 * The score from which on it is the same speaker, at a false-accept rate that the model stores, or
 * at `REVOX_EQUAL_ERROR`.
 */
RevoxStatus revox_threshold(const struct RevoxModel *model,
                            double false_accept_rate,
                            double *threshold);

/**
 * Whether a score says that it is the same speaker, at a false-accept rate as in
 * `revox_threshold`.
 */
RevoxStatus revox_decide(const struct RevoxModel *model,
                         double score,
                         double false_accept_rate,
                         bool *same);

/**
 * The log-likelihood ratio of two recordings, natural logarithm: by how much more probable their
 * score is if one speaker speaks in both. Above 0 it speaks for one speaker. A model without
 * calibration has none: `REVOX_STATUS_ABSENT`.
 */
RevoxStatus revox_llr(const struct RevoxModel *model,
                      const float *first,
                      const struct RevoxQuality *first_quality,
                      const float *second,
                      const struct RevoxQuality *second_quality,
                      size_t length,
                      double *llr);

/**
 * The probability of one speaker that a log-likelihood ratio means, where one speaker is as
 * probable as `prior`, between 0 and 1, before anything is heard, or `REVOX_OWN_PRIOR`.
 */
RevoxStatus revox_probability(const struct RevoxModel *model,
                              double llr,
                              double prior,
                              double *probability);

/**
 * Whether two recordings have the same speaker, as `revox compare` says it: by the model's
 * calibration, or else by its threshold at equal error rate. A recording in which nobody speaks is
 * `REVOX_STATUS_UNDEFINED`.
 */
RevoxStatus revox_compare(const struct RevoxModel *model,
                          const float *first,
                          const struct RevoxQuality *first_quality,
                          const float *second,
                          const struct RevoxQuality *second_quality,
                          size_t length,
                          struct RevoxVerdict *verdict);

/**
 * Embeds `count` samples of one channel, full scale = 1, at `rate` Hz: any rate of audio. They are
 * resampled if need be. `length` must be `revox_dim`. `quality` may be null. Recordings longer
 * than five minutes are heard in windows of equal length, and their embedding is the mean of the
 * windows'.
 */
RevoxStatus revox_embed(const struct RevoxModel *model,
                        const float *samples,
                        size_t count,
                        uint32_t rate,
                        float *embedding,
                        size_t length,
                        struct RevoxQuality *quality);

/**
 * As `revox_embed`, of integers of 16 bits, full scale = 32768.
 */
RevoxStatus revox_embed_int16(const struct RevoxModel *model,
                              const int16_t *samples,
                              size_t count,
                              uint32_t rate,
                              float *embedding,
                              size_t length,
                              struct RevoxQuality *quality);

/**
 * Embeds an audio file: WAV, FLAC, AIFF, CAF and SPHERE, and with the feature `formats` AAC, ALAC,
 * MP3, Vorbis and Opus. `path` is UTF-8. `channel` counts from 0; `REVOX_ONLY_CHANNEL` refuses
 * files of several. The rest is as in `revox_embed`.
 */
RevoxStatus revox_embed_file(const struct RevoxModel *model,
                             const char *path,
                             int32_t channel,
                             float *embedding,
                             size_t length,
                             struct RevoxQuality *quality);

/**
 * What samples offer, without an embedding. Arguments are those of `revox_embed`.
 */
RevoxStatus revox_quality(const struct RevoxModel *model,
                          const float *samples,
                          size_t count,
                          uint32_t rate,
                          struct RevoxQuality *quality);

/**
 * Opens the model of a file. `path` is UTF-8.
 */
RevoxStatus revox_open(const char *path, struct RevoxModel **model);

/**
 * Opens the model whose file's bytes these are. They are copied.
 */
RevoxStatus revox_open_bytes(const uint8_t *bytes, size_t count, struct RevoxModel **model);

/**
 * Opens the small model that revox ships with. It says the same as `revox compare A B`. A library
 * without the feature `shipped` does not have it: `REVOX_STATUS_ABSENT`.
 */
RevoxStatus revox_open_shipped(struct RevoxModel **model);

/**
 * Frees a model. Null is allowed. One that was freed before is an error: `REVOX_STATUS_HANDLE`.
 */
RevoxStatus revox_free(struct RevoxModel *model);

/**
 * Values of an embedding, or 0 after an error.
 */
size_t revox_dim(const struct RevoxModel *model);

/**
 * The rate of the samples that the model takes, Hz, or 0 after an error. Samples at other rates
 * are resampled, so they need not have it.
 */
uint32_t revox_sample_rate(const struct RevoxModel *model);

/**
 * The name of the model's network, such as `resnet34`, or null after an error. The text is there
 * until the model is freed.
 */
const char *revox_name(const struct RevoxModel *model);

/**
 * SHA-256 of the model's file, in hex, or null after an error. Embeddings of models that differ in
 * it cannot be compared. The text is there until the model is freed.
 */
const char *revox_hash(const struct RevoxModel *model);

/**
 * The version of the library, such as `0.1.0`.
 */
const char *revox_version(void);

/**
 * What the calling thread's last error was, in UTF-8; empty if it had none. The text is there
 * until the thread's next call that fails, or its end. Calls that succeed leave it.
 */
const char *revox_last_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REVOX_H */
