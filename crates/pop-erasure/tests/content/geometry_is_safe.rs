use pop_erasure::{Geometry, GeometryError};

/// Choose, exactly; for totals whose binomials fit.
fn binomial(total: u128, chosen: u128) -> u128 {
    if chosen > total { 0 } else { (0..chosen).fold(1, |c, i| c * (total - i) / (i + 1)) }
}

fn lost(nodes: u32) -> u32 {
    (nodes * 2957).div_ceil(10_000)
}

#[test]
fn the_recommended_geometry_is_safe_in_every_network() {
    for nodes in 3..=2_000 {
        let geometry = Geometry::for_network(nodes).unwrap();
        let (k, n) = (geometry.k(), geometry.n());
        assert!(2 <= k && k < n && n <= 80 && u32::from(n) <= nodes, "({k}, {n}) on {nodes}");
        let durability = geometry.durability(nodes);
        assert!(durability.is_safe(), "{durability}");
        assert_eq!(durability.lost_nodes, lost(nodes));
        if nodes <= 80 {
            assert!(durability.is_certain(), "{durability}");
            assert_eq!(u32::from(n), nodes);
        }
        if !durability.is_certain() {
            assert_eq!((k, n), (30, 80));
            assert!(durability.loss_probability <= 1e-9, "{durability}");
        }
    }
    for nodes in [10_000, 1_000_000, u32::MAX] {
        assert_eq!(Geometry::for_network(nodes).map(|it| (it.k(), it.n())), Ok((30, 80)));
    }
}

#[test]
fn known_networks_get_known_geometries() {
    for (nodes, k, n) in
        [(3, 2, 3), (4, 2, 4), (10, 7, 10), (27, 19, 27), (80, 56, 80), (100, 50, 80)]
    {
        let geometry = Geometry::for_network(nodes).unwrap();
        assert_eq!((geometry.k(), geometry.n()), (k, n), "{nodes} nodes");
    }
}

#[test]
fn refused_shapes_say_why_with_numbers() {
    let refused = |k, n, nodes| Geometry::new(k, n, nodes).unwrap_err();
    assert_eq!(refused(5, 4, 100), GeometryError::MoreDataThanShards { k: 5, n: 4 });
    assert_eq!(refused(4, 4, 100), GeometryError::NoParity { k: 4 });
    assert_eq!(refused(1, 4, 100), GeometryError::TooFewDataShards { minimum: 2, k: 1 });
    assert_eq!(refused(0, 0, 0), GeometryError::TooFewDataShards { minimum: 2, k: 0 });
    assert_eq!(refused(2, 256, 999), GeometryError::TooManyShards { maximum: 255, n: 256 });
    assert_eq!(refused(19, 27, 26), GeometryError::TooFewNodes { needed: 27, nodes: 26 });
    assert_eq!(refused(81, 115, 115).to_string().matches("35 nodes").count(), 1);
    for nodes in 0..3 {
        let refused = Geometry::for_network(nodes).unwrap_err();
        assert_eq!(refused, GeometryError::TooFewNodes { needed: 3, nodes });
    }
    match refused(81, 115, 115) {
        GeometryError::NotDurable { tolerated: 34, lost_nodes: 35, loss_probability, .. } => {
            assert!((loss_probability - 1.0).abs() < 1e-9, "every holder's node is hit");
        }
        other => panic!("expected one column too few, got {other}"),
    }
    assert!(Geometry::new(80, 115, 115).is_ok());
}

/// The survey's table: (k, n), network, probability of losing a segment.
#[test]
fn loss_probabilities_are_those_of_the_published_table() {
    let table: &[(u16, u16, u32, f64)] = &[
        (7, 10, 100, 3.5e-1),
        (7, 10, 10_000, 3.4e-1),
        (20, 30, 100, 2.4e-1),
        (81, 115, 200, 5.0e-1),
        (81, 115, 1_000, 4.6e-1),
        (10, 20, 100, 8.5e-3),
        (20, 40, 100, 7.7e-5),
        (20, 40, 10_000, 1.9e-3),
        (32, 64, 200, 7.5e-6),
        (10, 30, 100, 3.4e-8),
        (27, 64, 200, 1.3e-9),
        (22, 64, 200, 1.2e-14),
        (22, 64, 10_000, 5.0e-10),
        (30, 80, 200, 8.1e-18),
        (30, 80, 1_000, 4.0e-11),
        (30, 80, 10_000, 2.3e-10),
        (40, 80, 1_000, 1.8e-5),
        (29, 80, 200, 3.6e-19),
        (64, 128, 10_000, 3.4e-7),
    ];
    for &(k, n, nodes, expected) in table {
        let geometry = Geometry::danger_without_promise(k, n).unwrap();
        let got = geometry.durability(nodes).loss_probability;
        // The table has two digits.
        assert!((got / expected - 1.0).abs() < 0.05, "({k}, {n}) on {nodes}: {got:e}");
    }
    for (k, n) in [(32, 64), (27, 64), (22, 64), (30, 80), (40, 80), (29, 80)] {
        let durability = Geometry::danger_without_promise(k, n).unwrap().durability(100);
        assert!(durability.is_certain());
        assert_eq!(durability.loss_probability, 0.0);
    }
}

#[test]
fn tolerances_are_those_of_the_published_table() {
    for (n, k) in [(20, 14), (32, 22), (40, 28), (64, 45), (80, 56), (96, 67), (128, 90)] {
        let certain = |k| {
            Geometry::danger_without_promise(k, n).unwrap().durability(u32::from(n)).is_certain()
        };
        assert!(certain(k) && !certain(k + 1), "largest k for n = {n}");
    }
}

#[test]
fn small_tails_agree_with_exact_counting() {
    for nodes in 3_u32..=40 {
        let gone = lost(nodes);
        for n in 3..=u16::try_from(nodes).unwrap() {
            for k in 2..n {
                let geometry = Geometry::danger_without_promise(k, n).unwrap();
                let tail: u128 = (n - k + 1..=n)
                    .map(|hit| {
                        binomial(gone.into(), hit.into())
                            * binomial((nodes - gone).into(), (n - hit).into())
                    })
                    .sum();
                let all = binomial(nodes.into(), n.into());
                let durability = geometry.durability(nodes);
                // Both fit f64 to 15 digits.
                let exact = tail.to_string().parse::<f64>().unwrap()
                    / all.to_string().parse::<f64>().unwrap();
                let got = durability.loss_probability;
                assert!(
                    (got - exact).abs() <= 1e-12 * exact,
                    "({k}, {n}) on {nodes}: expected {exact:e}, got {got:e}"
                );
                assert_eq!(durability.is_certain(), u32::from(n - k) >= gone);
                if durability.is_certain() {
                    assert_eq!(tail, 0, "what is certain has no probability of loss");
                }
            }
        }
    }
}
