package org.revox

/** A recording that was heard. */
class Utterance internal constructor(val embedding: FloatArray, internal val quality: ByteArray)

/** Without a calibration there is no probability; without a threshold, no decision. */
class Verdict(val score: Double, val probability: Double?, val same: Boolean?)

/** A model. Any number of threads may use it at once. Errors are exceptions. */
class Revox(file: ByteArray) : AutoCloseable {
    private val model: Long = Native.open(file)

    /** Hears samples of one channel, as `AudioRecord` gives them with `ENCODING_PCM_16BIT`. */
    fun embed(samples: ShortArray, rate: Int): Utterance {
        val quality = ByteArray(Native.qualitySize())
        return Utterance(Native.embed(model, samples, rate, quality), quality)
    }

    fun compare(a: Utterance, b: Utterance): Verdict {
        val made = Native.compare(model, a.embedding, a.quality, b.embedding, b.quality)
        val same = if (made[2] < 0) null else made[2] > 0
        return Verdict(made[0], made[1].takeUnless { it.isNaN() }, same)
    }

    /** Calls after this one throw. */
    override fun close() = Native.free(model)
}

internal object Native {
    init {
        System.loadLibrary("revox_jni")
    }

    @JvmStatic external fun open(file: ByteArray): Long
    @JvmStatic external fun free(model: Long)
    @JvmStatic external fun qualitySize(): Int
    @JvmStatic external fun embed(
        model: Long, samples: ShortArray, rate: Int, quality: ByteArray,
    ): FloatArray
    @JvmStatic external fun compare(
        model: Long, a: FloatArray, qualityA: ByteArray, b: FloatArray, qualityB: ByteArray,
    ): DoubleArray
}
