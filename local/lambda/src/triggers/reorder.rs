//! Records of different keys in another order than that of the stream (chaos).

use std::collections::{HashMap, VecDeque};

/// Shuffles records; those of one key keep their order among themselves. `choose` gives a number below its argument.
pub(super) fn shuffled<T: Clone>(records: &[T], key: impl Fn(&T) -> String, choose: impl Fn(usize) -> usize) -> Vec<T> {
    let mut of_key: HashMap<String, VecDeque<&T>> = HashMap::new();
    let mut places: Vec<String> = records.iter().map(&key).collect();
    for (key, record) in places.iter().zip(records) {
        of_key.entry(key.clone()).or_default().push_back(record);
    }
    for last in (1..places.len()).rev() {
        places.swap(last, choose(last + 1));
    }
    places.iter().filter_map(|key| of_key.get_mut(key)?.pop_front().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_record_is_lost_and_those_of_one_key_keep_their_order(keys in vec(0..4_u8, 0..30), dice in vec(any::<usize>(), 30)) {
            let records: Vec<_> = keys.iter().copied().enumerate().collect();
            let dice = RefCell::new(dice);
            let choose = |below| dice.borrow_mut().pop().unwrap_or_default() % below;
            let shuffled = shuffled(&records, |(_, key)| key.to_string(), choose);
            for key in 0..4 {
                let of_key = |records: &[(usize, u8)]| records.iter().filter(|record| record.1 == key).copied().collect::<Vec<_>>();
                prop_assert_eq!(of_key(&shuffled), of_key(&records));
            }
            prop_assert_eq!(shuffled.len(), records.len());
        }
    }

    #[test]
    fn records_of_different_keys_change_their_places() {
        assert_eq!(shuffled(&["a1", "b1", "a2"], |record| record[..1].to_owned(), |_| 0), ["b1", "a1", "a2"]);
    }
}
