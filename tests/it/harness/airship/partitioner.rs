//! The Java clients' partitioner, written from its definition and held against what the Java client itself computed.

/// The partition of `key` among `partitions`.
pub(super) fn partition_of(key: &[u8], partitions: i32) -> i32 {
    i32::try_from(positive(murmur2(key)) % u32::try_from(partitions).expect("a count")).expect("small")
}

/// `Utils.toPositive`: the sign bit cleared.
fn positive(hash: u32) -> u32 {
    hash & 0x7fff_ffff
}

/// Austin Appleby's MurmurHash2, 32 bits, with the seed of the Java client.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ u32::try_from(data.len()).expect("a short key");
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[test]
fn it_agrees_with_the_java_client() {
    use crate::harness::murmur2::{PARTITIONS, TABLE};
    for (key, hash, partitions) in TABLE {
        assert_eq!(positive(murmur2(key)), *hash, "{}", String::from_utf8_lossy(key));
        for (count, partition) in PARTITIONS.iter().zip(partitions) {
            assert_eq!(partition_of(key, *count), *partition);
        }
    }
}
