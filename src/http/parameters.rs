//! Parameters of paths and queries. Their types say what is taken; they are read when their handler asks for them, since who calls is
//! looked at before.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The query of a request: a `T`.
pub(super) struct Query<T> {
    text: String,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Query<T> {
    /// Reads it.
    pub(super) fn read(&self) -> Result<T, Problem> {
        let query = web::Query::<T>::from_query(&self.text);
        query.map(web::Query::into_inner).map_err(Problem::query)
    }
}

impl<T> FromRequest for Query<T> {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self { text: request.query_string().to_owned(), of: PhantomData }))
    }
}

/// The parameter of a path at place `N`, as it stands there. It should be a `T`.
pub(super) struct Path<T, const N: usize = 0> {
    text: String,
    of: PhantomData<fn() -> T>,
}

impl<T, const N: usize> Deref for Path<T, N> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<T, const N: usize> FromRequest for Path<T, N> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let all = web::Path::<Vec<String>>::from_request(request, payload).into_inner();
        ready(all.map(|all| {
            let text = all.into_inner().into_iter().nth(N).unwrap_or_default();
            Self { text, of: PhantomData }
        }))
    }
}
