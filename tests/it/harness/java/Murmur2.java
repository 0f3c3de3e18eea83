// Prints the rows of `tests/it/harness/murmur2.rs`: what the Java producer does with a key. Run it from this directory with
//   java -cp '../../../target/kafka/libs-4.1.1/*' Murmur2.java
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

public class Murmur2 {
    static final int[] PARTITIONS = {1, 3, 12, 50};

    public static void main(String[] args) {
        List<byte[]> keys = new ArrayList<>();
        for (String key : new String[] {
            "", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "0", "1", "21", "foobar",
            "a-little-bit-long-string", "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            "16b2c4d6-7f6c-4d7b-9c87-3e3f5d0c9a01", "7c3b1b9e-5d0f-4d24-8a55-0c9f1e2d3b4a",
            "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "9C3B1B9E-5D0F-4D24-8A55-0C9F1E2D3B4A", "user@example.com", "+4915112345678", "customer 42", "named user/1",
            "v:3221225472:2147483648", "v:18446744073709551615:18446744073709551615", "v:0:0", "{\"k\":1}", "a\tb\nc",
            "back\\slash \"quote\"", "Grüße", "naïve café", "Ωmega", "привет", "日本語のキー", "한국어", "مرحبا", "😀", "👩‍👩‍👧‍👦",
            "e\u0301", "\u00e9", "\u0000", "nul\u0000inside", " ", "x".repeat(63), "y".repeat(64), "z".repeat(65),
            "long-".repeat(41),
        }) {
            keys.add(key.getBytes(StandardCharsets.UTF_8));
        }
        keys.add(new byte[] {(byte) 0xff});
        keys.add(new byte[] {(byte) 0x80, (byte) 0x81, (byte) 0xfe, (byte) 0xff, 0x00});
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (int b = 0; b < 256; b += 5) {
            all.write(b);
        }
        keys.add(all.toByteArray());
        for (byte[] key : keys) {
            StringBuilder row = new StringBuilder("    (b\"");
            for (byte b : key) {
                boolean plain = b >= 0x20 && b < 0x7f && b != '"' && b != '\\';
                row.append(plain ? String.valueOf((char) b) : String.format("\\x%02x", b & 0xff));
            }
            row.append("\", ").append(Utils.toPositive(Utils.murmur2(key))).append(", [");
            for (int i = 0; i < PARTITIONS.length; i++) {
                row.append(i == 0 ? "" : ", ").append(BuiltInPartitioner.partitionForKey(key, PARTITIONS[i]));
            }
            System.out.println(row.append("]),"));
        }
    }
}
