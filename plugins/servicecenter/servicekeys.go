package servicecenter

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// markPrefix is where a registration marks what it made: below it stands the id of
// every microservice of ours, with its index key. service-center cannot write there,
// so a compare with a mark tells ours from a stranger's in the very transaction.
const markPrefix = "/mep/own/"

var (
	instancePrefix = path.GetInstanceRootKey(domainProject) + path.SPLIT
	servicePrefix  = path.GetServiceRootKey(domainProject) + path.SPLIT
	indexPrefix    = path.GetServiceIndexRootKey(domainProject) + path.SPLIT
	aliasPrefix    = path.GetServiceAliasRootKey(domainProject) + path.SPLIT
	leasePrefix    = path.GetInstanceLeaseRootKey(domainProject) + path.SPLIT
	tagPrefix      = path.GetServiceTagRootKey(domainProject) + path.SPLIT
	// behind it stands the name of a consumer, as behind indexPrefix
	consumerPrefix = path.GenerateConsumerDependencyRuleKey(domainProject, nil) + path.SPLIT
	// belowService are the roots below which keys begin with a serviceId.
	belowService = []string{
		path.GetServiceRuleRootKey(domainProject) + path.SPLIT, path.GetServiceRuleIndexRootKey(domainProject) + path.SPLIT,
		path.GetServiceSchemaRootKey(domainProject) + path.SPLIT, path.GetServiceSchemaSummaryRootKey(domainProject) + path.SPLIT,
		queuePrefix,
	}
	queuePrefix = path.GetServiceDependencyQueueRootKey(domainProject) + path.SPLIT
	// behind it stands the name of a provider, as behind indexPrefix
	providerPrefix = path.GenerateProviderDependencyRuleKey(domainProject, nil) + path.SPLIT
)

// hashOf is the id that a microservice with this index key has if it is ours.
func hashOf(indexKey string) string {
	sum := sha256.Sum256([]byte(indexKey))
	return hex.EncodeToString(sum[:halfID/2])
}

// couldBeOurs says whether an id has the form of ours: 32 lower-case hex characters.
func couldBeOurs(id string) bool {
	return len(id) == halfID && strings.Trim(id, "0123456789abcdef") == ""
}

// bare erases what stands below a microservice beside its instances: we never write
// any of it.
func bare(id, index string) []clientv3.Op {
	out := []clientv3.Op{clientv3.OpDelete(tagPrefix + id), clientv3.OpDelete(consumerPrefix + strings.TrimPrefix(index, indexPrefix))}
	for _, prefix := range belowService {
		out = append(out, clientv3.OpDelete(prefix+id+path.SPLIT, clientv3.WithPrefix()))
	}
	return out
}
