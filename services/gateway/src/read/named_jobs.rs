//! Jobs whose ids follow from keys of idempotency: whether they are there, asked for many submits at once.

use std::{collections::BTreeMap, sync::Arc};

use nox_contract::{JobId, TenantId};
use nox_readmodel::{At, JobRow, QueryError, Reader};

use super::together::Together;

/// A job as the rows have it, and how far they were.
type Found = Result<At<Option<JobRow>>, Arc<QueryError>>;

/// See the head of this file. A crowd of keyed submits, each on a connection of its own, would wait for those longer
/// than a read may.
#[derive(Clone)]
pub struct NamedJobs(Together<(TenantId, JobId), Found>);

impl NamedJobs {
    pub fn new(reader: Reader) -> Self {
        Self(Together::new(move |asked| look_up(reader.clone(), asked)))
    }

    /// The job, from a snapshot that was taken after this call.
    pub async fn get(&self, tenant: &TenantId, id: JobId) -> anyhow::Result<At<Option<JobRow>>> {
        let found = self.0.get((tenant.clone(), id)).await;
        Ok(found.ok_or_else(|| anyhow::anyhow!("no answer in time"))??)
    }
}

async fn look_up(reader: Reader, asked: Vec<(TenantId, JobId)>) -> Vec<Found> {
    let mut of_tenants: BTreeMap<&TenantId, Vec<JobId>> = BTreeMap::new();
    for (tenant, id) in &asked {
        of_tenants.entry(tenant).or_default().push(*id);
    }
    let mut found = BTreeMap::new();
    for (tenant, ids) in of_tenants {
        let rows = reader.jobs_of(tenant, &ids).await;
        let by_id = |rows: Vec<JobRow>| -> BTreeMap<_, _> {
            rows.into_iter().map(|row| (row.id, row)).collect()
        };
        found.insert(tenant, rows.map(|at| at.map(by_id)).map_err(Arc::new));
    }
    let of = |(tenant, id): &(TenantId, JobId)| match &found[tenant] {
        Ok(At { progress, value }) => {
            Ok(At { progress: progress.clone(), value: value.get(id).cloned() })
        }
        Err(error) => Err(error.clone()),
    };
    asked.iter().map(of).collect()
}
