package center

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/apache/servicecomb-service-center/datasource/etcd/client"
	"github.com/apache/servicecomb-service-center/datasource/etcd/path"
	"github.com/apache/servicecomb-service-center/pkg/etcdsync"
	"github.com/go-chassis/cari/discovery"

	"github.com/mec-liveness/mepserver/plugins/servicecenter/keys"
)

// subject is what writes of service-center touch: the microservices in our tenant
// whose ids could be ours, and instances wherever they stand.
type subject struct{ services, instances []string }

func (s *subject) service(tenant, id string) {
	if tenant == keys.Tenant && keys.IsServiceID(id) {
		s.services = append(s.services, id)
	}
}

// named adds the microservice that we would make of that name.
func (s *subject) named(tenant string, name []string) {
	if tenant == keys.Tenant {
		if isSelf(name) {
			s.services = append(s.services, SelfServiceID)
		}
		s.services = append(s.services, keys.ServiceIDAt(keys.IndexPrefix+strings.Join(name, path.SPLIT)))
	}
}

var (
	scRoot  = path.GetRootKey() + path.SPLIT
	scLocks = etcdsync.RootPath + path.SPLIT
)

// identifier is the alphabet of ids, domains and projects: each is one segment of a
// key, and one that contains a slash would be two.
func identifier(s string) bool {
	if s == "" || len(s) > maxIdentifier || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

const maxIdentifier = 160

// add checks one write by the key that it ends at; false refuses it: a key of a form
// that service-center itself would not make, or a range beyond one microservice.
// What is ours is to be decided from the key, for a request can name a thing in more
// ways than anybody can list.
func (s *subject) add(op *client.PluginOp) bool {
	key := string(op.Key)
	whole := op.Prefix
	switch {
	case len(op.EndKey) > 0, !utf8.ValidString(key), strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return false
	case strings.HasPrefix(key, scLocks):
		return !whole
	case !strings.HasPrefix(key, scRoot):
		return false // ours are elsewhere, below /mep/
	}
	parts := strings.Split(key[len(scRoot):], path.SPLIT)
	switch {
	case parts[0] == path.RegistrySysKey:
		return len(parts) == 1 && !whole
	case parts[0] == path.RegistryDomainKey || parts[0] == path.RegistryProjectKey: // never deleted
		return op.Action == client.ActionPut && allIdentifiers(parts[1:])
	case len(parts) < 5 || !allIdentifiers(parts[:4]):
		return false
	}
	tenant, rest := parts[2]+path.SPLIT+parts[3], parts[4:]
	if whole && (len(rest) != 2 || rest[1] != "" || op.Action != client.ActionDelete) {
		return false // a prefix that does not end behind the id of one microservice
	}
	switch parts[0] {
	case path.RegistryInstanceKey:
		return s.instance(tenant, rest, whole)
	case path.RegistryServiceKey:
		return s.ofService(op, parts[1], tenant, rest)
	}
	return false
}

func allIdentifiers(parts []string) bool {
	for _, p := range parts {
		if !identifier(p) {
			return false
		}
	}
	return true
}

func (s *subject) instance(tenant string, rest []string, whole bool) bool {
	if len(rest) != 2 || !identifier(rest[0]) || !whole && !identifier(rest[1]) {
		return false
	}
	s.service(tenant, rest[0])
	if !whole {
		s.instances = append(s.instances, rest[1])
	}
	return true
}

// ofService checks the keys of a microservice by their kind.
func (s *subject) ofService(op *client.PluginOp, kind, tenant string, rest []string) bool {
	switch kind {
	case path.RegistryFile, path.RegistryTagKey:
		s.service(tenant, rest[0])
		return len(rest) == 1 && identifier(rest[0])
	case path.RegistryRuleKey, path.RegistrySchemaKey, path.RegistrySchemaSummaryKey, path.RegistryRuleIndexKey:
		s.service(tenant, rest[0])
		// a rule's pattern may contain slashes; it comes behind the id
		return identifier(rest[0]) && (len(rest) == 2 || len(rest) > 2 && kind == path.RegistryRuleIndexKey)
	case path.RegistryIndex, path.RegistryAliasKey:
		s.named(tenant, rest)
		s.service(tenant, string(op.Value)) // the serviceId at that index key
		return len(rest) == 4
	case path.RegistryDepsQueueKey:
		s.service(tenant, rest[0])
		return len(rest) == 2 && identifier(rest[0]) && (op.Action != client.ActionPut || s.queued(tenant, op.Value))
	case path.RegistryDepsRuleKey:
		return s.dependency(tenant, rest)
	}
	return false
}

// queued checks the consumer that is named in a request for dependencies: the key has the
// consumer's id, but the handler of the queue trusts the name in the value.
func (s *subject) queued(tenant string, value []byte) bool {
	var d discovery.ConsumerDependency
	if json.Unmarshal(value, &d) != nil || d.Consumer == nil {
		return false
	}
	for _, p := range d.Providers {
		if p == nil {
			return false
		}
	}
	c := d.Consumer
	s.named(tenant, []string{c.Environment, c.AppId, c.ServiceName, c.Version})
	return true
}

// dependency checks a dependency rule. The consumer may change what it depends on. It may
// also change the list of consumers below a provider, ours included: by that list a
// ServiceComb consumer of our service is notified, and it changes nothing of the provider.
func (s *subject) dependency(tenant string, rest []string) bool {
	switch {
	case len(rest) == 3 && rest[2] == "*":
	case len(rest) == 5 && rest[0] == path.DepsConsumer:
		s.named(tenant, rest[1:])
	case len(rest) != 5 || rest[0] != path.DepsProvider:
		return false
	}
	return true
}
