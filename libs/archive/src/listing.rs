//! Which segments there are, and how they follow one another.

use std::sync::Arc;

use nox_contract::FrameNumber;

use crate::SegmentInfo;

/// Segments by number, as they were listed. They may overlap: two leaders may have cut differently, and both are
/// right.
#[derive(Debug, Clone)]
pub struct Segments {
    all: Arc<[SegmentInfo]>,
    /// Without those that lie within another one, so that first and last numbers both ascend.
    cover: Arc<[SegmentInfo]>,
}

impl Segments {
    pub(crate) fn new(mut all: Vec<SegmentInfo>) -> Self {
        all.sort_by_key(|segment| (segment.n_first, std::cmp::Reverse(segment.n_last)));
        let mut cover: Vec<SegmentInfo> = Vec::new();
        for segment in &all {
            if cover.last().is_none_or(|last| segment.n_last > last.n_last) {
                cover.push(segment.clone());
            }
        }
        Self { all: all.into(), cover: cover.into() }
    }

    /// The one with message `n` that reaches furthest.
    pub(crate) fn holding(&self, n: FrameNumber) -> Option<&SegmentInfo> {
        let after = self.cover.partition_point(|segment| segment.n_first <= n);
        self.cover[..after].last().filter(|segment| segment.holds(n))
    }

    /// In order, overlapping ones included.
    pub fn all(&self) -> &[SegmentInfo] {
        &self.all
    }

    /// The last segment before the first gap behind message `n`, if one holds it or ends right before it.
    pub fn end(&self, n: FrameNumber) -> Option<&SegmentInfo> {
        let follows = |pair: &&[SegmentInfo]| pair[1].n_first <= pair[0].n_last.next();
        let begin = self
            .cover
            .iter()
            .position(|segment| segment.n_first <= n && n <= segment.n_last.next())?;
        let joined = self.cover[begin..].windows(2).take_while(follows).count();
        self.cover.get(begin + joined)
    }
}
