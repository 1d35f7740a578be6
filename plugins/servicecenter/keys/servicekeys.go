package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// MarkPrefix is where a registration marks what it made: below it stands the id of
// every microservice of ours, with its index key. service-center cannot write there,
// so a compare with a mark tells ours from another client's in the very transaction.
const MarkPrefix = "/mep/own/"

// The roots of service-center's keys in our tenant.
var (
	InstancePrefix = path.GetInstanceRootKey(Tenant) + path.SPLIT // behind it: serviceId/instanceId
	LeasePrefix    = path.GetInstanceLeaseRootKey(Tenant) + path.SPLIT
	ServicePrefix  = path.GetServiceRootKey(Tenant) + path.SPLIT      // behind it: serviceId
	IndexPrefix    = path.GetServiceIndexRootKey(Tenant) + path.SPLIT // behind it: environment/appId/name/version
	AliasPrefix    = path.GetServiceAliasRootKey(Tenant) + path.SPLIT
	TagPrefix      = path.GetServiceTagRootKey(Tenant) + path.SPLIT
	QueuePrefix    = path.GetServiceDependencyQueueRootKey(Tenant) + path.SPLIT // behind it: the consumer's serviceId

	ConsumerPrefix = path.GenerateConsumerDependencyRuleKey(Tenant, nil) + path.SPLIT // behind it: the consumer, as behind IndexPrefix
	ProviderPrefix = path.GenerateProviderDependencyRuleKey(Tenant, nil) + path.SPLIT // behind it: the provider
)

// BelowService are the roots below which keys begin with a serviceId.
var BelowService = []string{
	path.GetServiceRuleRootKey(Tenant) + path.SPLIT, path.GetServiceRuleIndexRootKey(Tenant) + path.SPLIT,
	path.GetServiceSchemaRootKey(Tenant) + path.SPLIT, path.GetServiceSchemaSummaryRootKey(Tenant) + path.SPLIT,
	QueuePrefix,
}

// ServiceIDAt is the id that a microservice with this index key has if it is ours.
func ServiceIDAt(indexKey string) string {
	sum := sha256.Sum256([]byte(indexKey))
	return hex.EncodeToString(sum[:IDLength/2])
}

// IsServiceID says whether an id has the form of ours: 32 lower-case hex characters.
func IsServiceID(id string) bool {
	return len(id) == IDLength && strings.Trim(id, "0123456789abcdef") == ""
}

// DeleteBelow erases what stands below a microservice beside its instances: we never write
// any of it.
func DeleteBelow(id, index string) []clientv3.Op {
	out := []clientv3.Op{clientv3.OpDelete(TagPrefix + id), clientv3.OpDelete(ConsumerPrefix + strings.TrimPrefix(index, IndexPrefix))}
	for _, prefix := range BelowService {
		out = append(out, clientv3.OpDelete(prefix+id+path.SPLIT, clientv3.WithPrefix()))
	}
	return out
}

// AppendNothingBelow adds compares that fail if there is something that DeleteBelow would erase.
func AppendNothingBelow(out []clientv3.Cmp, id, index string) []clientv3.Cmp {
	for _, key := range []string{TagPrefix + id, ConsumerPrefix + strings.TrimPrefix(index, IndexPrefix)} {
		out = append(out, clientv3.Compare(clientv3.Version(key), "=", 0))
	}
	for _, prefix := range BelowService {
		out = append(out, clientv3.Compare(clientv3.CreateRevision(prefix+id+path.SPLIT).WithPrefix(), "=", 0))
	}
	return out
}
