from tests.clusters.results import MAX_SECONDS_UNTIL_WRITES, RECORDED, load
from tests.clusters.table import table
from tests.clusters.topologies import TOPOLOGIES


def test_the_table_of_the_clusters_is_made_from_their_results() -> None:
    assert RECORDED.in_page() == table(load())


def test_each_fault_of_each_topology_has_a_result_without_a_loss_or_a_wrong_answer() -> None:
    results = load()
    assert {name: sorted(faults) for name, faults in results.items()} == {
        name: sorted(topology.faults) for name, topology in TOPOLOGIES.items()
    }
    for faults in results.values():
        for result in faults.values():
            assert (result.lost, result.wrong_answers) == (0, 0)
            assert result.seconds_until_writes <= MAX_SECONDS_UNTIL_WRITES
