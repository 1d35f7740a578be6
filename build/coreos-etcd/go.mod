module github.com/coreos/etcd

go 1.26

require go.etcd.io/etcd/api/v3 v3.6.14

require (
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.5.4 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)
