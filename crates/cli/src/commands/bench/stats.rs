//! Medians, ratios and fairness.

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of the ratios of each round; `None` where a round has no second figure.
pub(super) fn median_ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
    median(&ratios.filter(|ratio| ratio.is_finite()).collect::<Vec<_>>())
}

/// Jain's fairness: the square of the sum, over the number times the sum of squares. 1 is equal
/// shares, 1/n is all for one; `None` where nobody got anything.
pub(super) fn jain(shares: &[f64]) -> Option<f64> {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
    let n = shares.iter().map(|_| 1.0).sum::<f64>();
    (squares > 0.0).then(|| sum * sum / (n * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_of_rounds_not_of_medians() {
        assert_eq!(median_ratio(&[1.0, 10.0, 6.0], &[2.0, 5.0, 6.0]), Some(1.0));
        assert_eq!(median_ratio(&[1.0], &[]), None);
        assert_eq!(median_ratio(&[1.0], &[0.0]), None);
    }

    #[test]
    fn equal_shares_are_fair() {
        assert_eq!(jain(&[5.0, 5.0, 5.0, 5.0]), Some(1.0));
        assert_eq!(jain(&[1.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[0.0, 0.0]), None);
    }
}
