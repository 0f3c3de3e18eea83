// Grants User:tributary rights on a broker with an authorizer. Arguments: bootstrap servers, then for each right four:
// resource type, pattern type, resource name, operation, as the enums of kafka-clients spell them.
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

public class Acls {
    public static void main(String[] args) throws Exception {
        List<AclBinding> bindings = new ArrayList<>();
        for (int i = 1; i < args.length; i += 4) {
            ResourcePattern pattern = new ResourcePattern(
                ResourceType.valueOf(args[i]), args[i + 2], PatternType.valueOf(args[i + 1]));
            bindings.add(new AclBinding(pattern, new AccessControlEntry(
                "User:tributary", "*", AclOperation.valueOf(args[i + 3]), AclPermissionType.ALLOW)));
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            admin.createAcls(bindings).all().get();
        }
    }
}
