/* org.revox.Native over revox.h. */
#include <jni.h>
#include <stdlib.h>

#include "revox.h"

/* A model is a number to the library; so it is in Java. */
static RevoxModel *of(jlong model) { return (RevoxModel *)(intptr_t)model; }

/* Throws the library's words unless the call succeeded. */
static int failed(JNIEnv *env, RevoxStatus status) {
  if (status == REVOX_STATUS_OK) return 0;
  const char *kind = status == REVOX_STATUS_BUG ? "java/lang/IllegalStateException"
                                                : "java/lang/IllegalArgumentException";
  jclass class = (*env)->FindClass(env, kind);
  if (class != NULL) (*env)->ThrowNew(env, class, revox_last_error());
  return 1;
}

JNIEXPORT jlong JNICALL Java_org_revox_Native_open(JNIEnv *env, jclass self, jbyteArray file) {
  (void)self;
  RevoxModel *model = NULL;
  jsize count = (*env)->GetArrayLength(env, file);
  jbyte *bytes = (*env)->GetByteArrayElements(env, file, NULL);
  if (bytes == NULL) return 0;
  RevoxStatus status = revox_open_bytes((const uint8_t *)bytes, (size_t)count, &model);
  (*env)->ReleaseByteArrayElements(env, file, bytes, JNI_ABORT);
  return failed(env, status) ? 0 : (jlong)(intptr_t)model;
}

JNIEXPORT void JNICALL Java_org_revox_Native_free(JNIEnv *env, jclass self, jlong model) {
  (void)self;
  failed(env, revox_free(of(model)));
}

JNIEXPORT jint JNICALL Java_org_revox_Native_qualitySize(JNIEnv *env, jclass self) {
  (void)env;
  (void)self;
  return (jint)sizeof(RevoxQuality);
}

JNIEXPORT jfloatArray JNICALL Java_org_revox_Native_embed(JNIEnv *env, jclass self, jlong model,
                                                          jshortArray samples, jint rate,
                                                          jbyteArray quality) {
  (void)self;
  size_t dim = revox_dim(of(model));
  if (dim == 0) {
    failed(env, REVOX_STATUS_HANDLE);
    return NULL;
  }
  RevoxQuality heard;
  float *row = malloc(dim * sizeof *row);
  jsize count = (*env)->GetArrayLength(env, samples);
  jshort *values = (*env)->GetShortArrayElements(env, samples, NULL);
  jfloatArray made = NULL;
  if (row != NULL && values != NULL) {
    RevoxStatus status = revox_embed_int16(of(model), values, (size_t)count, (uint32_t)rate, row,
                                           dim, &heard);
    if (!failed(env, status)) made = (*env)->NewFloatArray(env, (jsize)dim);
  }
  if (made != NULL) {
    (*env)->SetFloatArrayRegion(env, made, 0, (jsize)dim, row);
    (*env)->SetByteArrayRegion(env, quality, 0, (jsize)sizeof heard, (const jbyte *)&heard);
  }
  if (values != NULL) (*env)->ReleaseShortArrayElements(env, samples, values, JNI_ABORT);
  free(row);
  return made;
}

JNIEXPORT jdoubleArray JNICALL Java_org_revox_Native_compare(JNIEnv *env, jclass self, jlong model,
                                                             jfloatArray a, jbyteArray qualityA,
                                                             jfloatArray b, jbyteArray qualityB) {
  (void)self;
  RevoxQuality qualities[2];
  RevoxVerdict verdict;
  jsize size = (jsize)sizeof qualities[0], dim = (*env)->GetArrayLength(env, a);
  /* Embeddings of another model would be read beyond their end. */
  if ((*env)->GetArrayLength(env, b) != dim) dim = 0;
  (*env)->GetByteArrayRegion(env, qualityA, 0, size, (jbyte *)&qualities[0]);
  if ((*env)->ExceptionCheck(env)) return NULL;
  (*env)->GetByteArrayRegion(env, qualityB, 0, size, (jbyte *)&qualities[1]);
  if ((*env)->ExceptionCheck(env)) return NULL;
  jfloat *first = (*env)->GetFloatArrayElements(env, a, NULL);
  jfloat *second = (*env)->GetFloatArrayElements(env, b, NULL);
  jdoubleArray made = NULL;
  if (first != NULL && second != NULL) {
    RevoxStatus status = revox_compare(of(model), first, &qualities[0], second, &qualities[1],
                                       (size_t)dim, &verdict);
    if (!failed(env, status)) made = (*env)->NewDoubleArray(env, 3);
  }
  if (made != NULL) {
    jdouble values[3] = {verdict.score, verdict.probability, verdict.same};
    (*env)->SetDoubleArrayRegion(env, made, 0, 3, values);
  }
  if (first != NULL) (*env)->ReleaseFloatArrayElements(env, a, first, JNI_ABORT);
  if (second != NULL) (*env)->ReleaseFloatArrayElements(env, b, second, JNI_ABORT);
  return made;
}
