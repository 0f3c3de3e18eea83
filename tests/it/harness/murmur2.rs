//! Where the Java producer puts a key, as the Java client itself computed it: the reference for our partitioner.
//!
//! Made by `java/Murmur2.java` (its first lines say how) with kafka-clients 4.1.1: `Utils.toPositive(Utils.murmur2(key))`
//! and `BuiltInPartitioner.partitionForKey(key, n)`. Never edit by hand.

/// The partition counts of the columns.
pub(crate) const PARTITIONS: [i32; 4] = [1, 3, 12, 50];

/// A key, its positive murmur2 hash, and its partition for each of [`PARTITIONS`].
#[rustfmt::skip]
pub(crate) const TABLE: &[(&[u8], u32, [i32; 4])] = &[
    (b"", 275646681, [0, 0, 9, 31]),
    (b"a", 584102524, [0, 1, 4, 24]),
    (b"ab", 316155434, [0, 2, 2, 34]),
    (b"abc", 479470107, [0, 0, 3, 7]),
    (b"abcd", 823834100, [0, 2, 8, 0]),
    (b"abcde", 461995741, [0, 1, 1, 41]),
    (b"abcdef", 1870650108, [0, 0, 0, 8]),
    (b"abcdefg", 1801016473, [0, 1, 1, 23]),
    (b"abcdefgh", 1192056285, [0, 0, 9, 35]),
    (b"0", 971027396, [0, 2, 8, 46]),
    (b"1", 154038159, [0, 0, 3, 9]),
    (b"21", 1173551340, [0, 0, 0, 40]),
    (b"foobar", 1357151166, [0, 0, 6, 16]),
    (b"a-little-bit-long-string", 1161502112, [0, 2, 8, 12]),
    (b"a-little-bit-longer-string", 661178819, [0, 2, 11, 19]),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 2088585677, [0, 2, 5, 27]),
    (b"16b2c4d6-7f6c-4d7b-9c87-3e3f5d0c9a01", 427742824, [0, 1, 4, 24]),
    (b"7c3b1b9e-5d0f-4d24-8a55-0c9f1e2d3b4a", 2038910973, [0, 0, 9, 23]),
    (b"00000000-0000-0000-0000-000000000000", 713427837, [0, 0, 9, 37]),
    (b"ffffffff-ffff-ffff-ffff-ffffffffffff", 1787613426, [0, 0, 6, 26]),
    (b"9C3B1B9E-5D0F-4D24-8A55-0C9F1E2D3B4A", 458330076, [0, 0, 0, 26]),
    (b"user@example.com", 679799700, [0, 0, 0, 0]),
    (b"+4915112345678", 1786450349, [0, 2, 5, 49]),
    (b"customer 42", 1472769772, [0, 1, 4, 22]),
    (b"named user/1", 988156123, [0, 1, 7, 23]),
    (b"v:3221225472:2147483648", 549517292, [0, 2, 8, 42]),
    (b"v:18446744073709551615:18446744073709551615", 1763663372, [0, 2, 8, 22]),
    (b"v:0:0", 895218116, [0, 2, 8, 16]),
    (b"{\x22k\x22:1}", 544318793, [0, 2, 5, 43]),
    (b"a\x09b\x0ac", 1692518334, [0, 0, 6, 34]),
    (b"back\x5cslash \x22quote\x22", 794808145, [0, 1, 1, 45]),
    (b"Gr\xc3\xbc\xc3\x9fe", 1190824359, [0, 0, 3, 9]),
    (b"na\xc3\xafve caf\xc3\xa9", 1338837213, [0, 0, 9, 13]),
    (b"\xce\xa9mega", 1300230970, [0, 1, 10, 20]),
    (b"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", 1657891991, [0, 2, 11, 41]),
    (b"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe3\x82\xad\xe3\x83\xbc", 1412807942, [0, 2, 2, 42]),
    (b"\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4", 790120414, [0, 1, 10, 14]),
    (b"\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7", 919051905, [0, 0, 9, 5]),
    (b"\xf0\x9f\x98\x80", 131881617, [0, 0, 9, 17]),
    (b"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7\xe2\x80\x8d\xf0\x9f\x91\xa6", 551589213, [0, 0, 9, 13]),
    (b"e\xcc\x81", 496939291, [0, 1, 7, 41]),
    (b"\xc3\xa9", 186971271, [0, 0, 3, 21]),
    (b"\x00", 375494588, [0, 2, 8, 38]),
    (b"nul\x00inside", 1091966267, [0, 2, 11, 17]),
    (b" ", 1160251521, [0, 0, 9, 21]),
    (b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 523416545, [0, 2, 5, 45]),
    (b"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", 616335030, [0, 0, 6, 30]),
    (b"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 644908368, [0, 0, 0, 18]),
    (b"long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-", 1830764991, [0, 0, 3, 41]),
    (b"\xff", 1836015963, [0, 0, 3, 13]),
    (b"\x80\x81\xfe\xff\x00", 1785204948, [0, 0, 0, 48]),
    (b"\x00\x05\x0a\x0f\x14\x19\x1e#(-27<AFKPUZ_dinsx}\x82\x87\x8c\x91\x96\x9b\xa0\xa5\xaa\xaf\xb4\xb9\xbe\xc3\xc8\xcd\xd2\xd7\xdc\xe1\xe6\xeb\xf0\xf5\xfa\xff", 1694385633, [0, 0, 9, 33]),
];
