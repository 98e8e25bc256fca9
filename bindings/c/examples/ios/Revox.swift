import CRevox
import Foundation

/// What the library says of a call that failed.
public struct RevoxError: LocalizedError {
    public let status: Int32
    public let errorDescription: String?

    static func check(_ status: Int32) throws {
        guard status == 0 else {
            throw RevoxError(status: status, errorDescription: String(cString: revox_last_error()))
        }
    }
}

/// A recording that was heard.
public struct Utterance {
    public var embedding: [Float]
    public var quality: RevoxQuality
}

/// A model. Any number of threads may use it at once.
public final class Model {
    private var model: OpaquePointer?

    public init(file: Data) throws {
        try file.withUnsafeBytes { bytes in
            let start = bytes.bindMemory(to: UInt8.self).baseAddress
            try RevoxError.check(revox_open_bytes(start, bytes.count, &model))
        }
    }

    deinit { _ = revox_free(model) }

    /// Hears samples of one channel, full scale = 1, such as `AVAudioPCMBuffer.floatChannelData`.
    public func embed(_ samples: [Float], rate: UInt32) throws -> Utterance {
        var made = [Float](repeating: 0, count: Int(revox_dim(model)))
        var quality = RevoxQuality()
        let status = revox_embed(
            model, samples, samples.count, rate, &made, made.count, &quality)
        try RevoxError.check(status)
        return Utterance(embedding: made, quality: quality)
    }

    public func compare(_ a: Utterance, _ b: Utterance) throws -> RevoxVerdict {
        var (first, second, verdict) = (a.quality, b.quality, RevoxVerdict())
        let count = a.embedding.count == b.embedding.count ? a.embedding.count : 0
        let status = revox_compare(
            model, a.embedding, &first, b.embedding, &second, count, &verdict)
        try RevoxError.check(status)
        return verdict
    }
}
