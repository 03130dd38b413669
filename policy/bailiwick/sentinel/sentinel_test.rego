package bailiwick.sentinel_test

import data.bailiwick.sentinel

test_the_revision_is_that_of_the_bundle if {
	sentinel.revision == "abc" with data.system.bundles as {"bundle.tar.gz": {"etag": "", "manifest": {"revision": "abc"}}}
}

test_without_a_bundle_there_is_none if not sentinel.revision
